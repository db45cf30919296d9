package mastodon

import (
	"net/http"
	"strings"
	"testing"
	"time"

	gomastodon "github.com/mattn/go-mastodon"

	"socialhub-sync/sources"
)

func TestAMessageIsReadableTextAndItsLinkIsTheFirstOne(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, markup, text, link string }{
		{"nothing", "", "", ""},
		{"paragraphs and lines", "<p>one<br>two</p><p>three &lt;3</p>", "one\ntwo\n\nthree <3", ""},
		{"a person", `<p><a class="u-url mention" href="https://m.example/@a">@<span>a</span></a> hi</p>`, "@a hi", ""},
		{"a hashtag", `<p><a class="hashtag" href="https://m.example/t">#tea</a></p>`, "#tea", ""},
		{"a hashtag by its relation", `<p><a rel="nofollow tag" href="https://m.example/t">https://m.example/t</a></p>`, "https://m.example/t", ""},
		{"a link after a person", `<a class="mention" href="https://m.example/@a">@a</a> <a href="https://b.example/">b</a>`, "@a b (https://b.example/)", "https://b.example/"},
		{"two links", `<a href="https://b.example/1">b</a> <a href="https://b.example/2">c</a>`, "b (https://b.example/1) c (https://b.example/2)", "https://b.example/1"},
		{"a link to nowhere before one", `<a href="javascript:alert(1)">b</a> <a href="https://b.example/2">c</a>`, "b c (https://b.example/2)", "https://b.example/2"},
		{"a person that does not end", `<p><a class="mention" href="https://m.example/@a">@a`, "@a", ""},
		{"custom emoji", "<p>:blobcat: :ok_hand:</p>", ":blobcat: :ok_hand:", ""},
		{"no markup", "1 < 2", "1 < 2", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			text, link := message(&gomastodon.Status{Content: c.markup}), firstLink(c.markup)
			if text != c.text || link != c.link {
				t.Errorf("got %q and %q", text, link)
			}
		})
	}
}

func FuzzFirstLink(f *testing.F) {
	f.Add(`<p><a class="mention" href="x">@a</a> <a href="https://b.example/">b</a><!-- <a> --></p>`)
	f.Add(`<a class=mention><a href=//x.example></a></a><script>`)
	f.Fuzz(func(t *testing.T, markup string) {
		if link := firstLink(markup); link != "" && sources.ResolveURL(nil, link) == "" {
			t.Errorf("link %q", link)
		}
	})
}

func TestWhenToComeBack(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	for _, c := range []struct {
		name   string
		header http.Header
		want   time.Duration // 0: not said
	}{
		{"seconds", http.Header{"Retry-After": {"7"}}, 7 * time.Second},
		{"a date", http.Header{"Retry-After": {"Sun, 22 Nov 2026 12:01:00 GMT"}}, time.Minute},
		{"reset as Mastodon says it", http.Header{"X-Ratelimit-Remaining": {"0"}, "X-Ratelimit-Reset": {"2026-11-22T12:05:00.019685Z"}}, 5*time.Minute + 19685*time.Microsecond},
		{"reset in seconds since 1970", http.Header{"X-Ratelimit-Reset": {"1795349100"}}, 5 * time.Minute},
		{"reset in seconds from now", http.Header{"X-Ratelimit-Reset": {"30"}}, 30 * time.Second},
		{"reset in the past", http.Header{"X-Ratelimit-Reset": {"2026-11-22T11:00:00Z"}}, time.Second},
		{"reset next year", http.Header{"X-Ratelimit-Reset": {"2027-11-22T11:00:00Z"}}, sources.MaxRetryAfter},
		{"Retry-After before reset", http.Header{"Retry-After": {"7"}, "X-Ratelimit-Reset": {"30"}}, 7 * time.Second},
		{"requests remain", http.Header{"X-Ratelimit-Remaining": {"12"}, "X-Ratelimit-Reset": {"30"}}, 0},
		{"nothing", http.Header{}, 0},
		{"nonsense", http.Header{"Retry-After": {"soon"}, "X-Ratelimit-Reset": {"later"}}, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			if got, ok := comeBack(c.header, now); got != c.want || ok != (c.want != 0) {
				t.Errorf("got %s, %t", got, ok)
			}
		})
	}
}

func TestTheDefaultsAreFineAndEveryFaultIsTold(t *testing.T) {
	t.Parallel()
	s := New().Settings().(*Settings)
	s.Server, s.AccessToken = "https://mastodon.example", sources.NewSecret("x")
	if err := s.Validate(); err != nil {
		t.Error(err)
	}
	err := (&Settings{}).Validate()
	for _, key := range []string{"server: ", "access_token: ", "hashtags: ", "rescan: ", "timeout: ", "max_size: "} {
		if err == nil || !strings.Contains(err.Error(), key) {
			t.Errorf("%s is not told: %v", key, err)
		}
	}
}
