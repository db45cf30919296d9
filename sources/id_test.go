package sources

import (
	"strings"
	"testing"

	"socialhub-sync/socialhub"
)

func TestItemIDKeepsNativeIDsThatFit(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, prefix, native, want string }{
		{"a number", "reviews", "17", "reviews-17"},
		{"an address", "blog", "https://example.com/?p=17&x=y", "blog-https://example.com/?p=17&x=y"},
		{"the longest id", "p", strings.Repeat("x", 254), "p-" + strings.Repeat("x", 254)},
		{"the shortest id", "abc", "12", "abc-12"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			if got := ItemID(c.prefix, c.native); got != c.want {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}

func TestItemIDHashesWhatDoesNotFit(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, prefix, native, want string }{
		// The wanted ids are written out: a change makes every ticket of such an item a new one.
		{"too short", "a", "1", "a-awu4k2nbqwwgb5krd6lwbpb7dlaenmqn"},
		{"too long", "p", strings.Repeat("x", 255), "p-3cjvyy3lvwrzqkvkm3zyd5plcrgiq73j"},
		{"a space", "blog", "a b", "blog-uxefw3lbjz723cocqlr336xzgq4nomav"},
		{"a prefix that does not fit", "mein blög", "1234", "mein_bl_g-5gtriv2mguzyq7uji5pzamtu3mogavec"},
		{"another prefix that looks the same then", "mein blüg", "1234", "mein_bl_g-aye2usmic6tbydlsbrnyioq3wjtvrzvc"},
		{"nothing", "", "", "-ny2axhh7wn5jrhffittlw6akfr4jahj7"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			got := ItemID(c.prefix, c.native)
			if got != c.want {
				t.Errorf("got %q, want %q", got, c.want)
			}
			if !socialhub.ValidItemID(got) {
				t.Errorf("SocialHub does not take %q", got)
			}
		})
	}
}
