package sync

import (
	"encoding/json"
	"math"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"socialhub-sync/socialhub"
	"socialhub-sync/socialhub/sandbox"
	"socialhub-sync/sources"
)

func TestALongMessageIsCutBetweenCharactersAsAPersonSeesThem(t *testing.T) {
	t.Parallel()
	const (
		family = "👨‍👩‍👧‍👦" // four people and three joiners: 11 code units
		flag   = "🇩🇪"      // two letters: 4 code units
		accent = "e\u0301\u0323"
		smile  = "😀"
	)
	a := func(n int) string { return strings.Repeat("a", n) }
	for _, test := range []struct{ name, message, want string }{
		{"10,000 letters stay", a(10_000), a(10_000)},
		{"5,000 characters of two code units stay", strings.Repeat(smile, 5_000), strings.Repeat(smile, 5_000)},
		{"one letter too many costs two, for the mark", a(10_001), a(9_999) + "…"},
		{"a character beyond U+FFFF is not split", a(9_998) + smile + "b", a(9_998) + "…"},
		{"a character beyond U+FFFF that just fits stays", a(9_997) + smile + "bb", a(9_997) + smile + "…"},
		{"a family is not split", a(9_990) + family, a(9_990) + "…"},
		{"a family that just fits stays", a(9_988) + family + "bb", a(9_988) + family + "…"},
		{"a flag is not split", a(9_996) + flag + "b", a(9_996) + "…"},
		{"the second flag goes, the first stays", a(9_994) + flag + flag, a(9_994) + flag + "…"},
		{"marks stay with their letter", a(9_997) + accent + "b", a(9_997) + "…"},
		{"a line's end is not split", a(9_998) + "\r\nb", a(9_998) + "…"},
		{"a character that alone is too long goes", "e" + strings.Repeat("\u0301", 10_001), "…"},
		{"bytes that are no text count one each", a(9_998) + "\xff\xff\xff", a(9_998) + "\xff…"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			got := test.message
			if mended := cutMessage(&got); mended != (got != test.message) {
				t.Errorf("mended %v", mended)
			}
			if got != test.want {
				t.Errorf("got %d bytes ending in %q, want %d ending in %q", len(got), got[max(0, len(got)-20):], len(test.want), test.want[max(0, len(test.want)-20):])
			}
			if n := socialhub.MessageLength(got); n > socialhub.MaxMessage {
				t.Errorf("%d code units are left", n)
			}
		})
	}
}

func TestWhatSocialHubWouldRefuseIsMendedWhereLittleIsLost(t *testing.T) {
	t.Parallel()
	type I = socialhub.Interaction
	who := func(id, name string) *socialhub.Interactor {
		return &socialhub.Interactor{InteractorID: id, Name: name}
	}
	rated := func(value, scale float64) I { return I{Rating: &socialhub.Rating{Value: value, Scale: scale}} }
	file := func(url, mimeType string, size int64) I {
		return I{Attachments: []socialhub.Attachment{{URL: url, MimeType: mimeType, Size: size}}}
	}
	east := time.FixedZone("", 2*60*60)
	for _, test := range []struct {
		name     string
		in, want I
	}{
		{"a picture without https goes, the others stay",
			I{Pictures: []socialhub.Picture{{Small: "http://a/1"}, {Small: "https://a/2", Large: "https://a/3"}, {Small: ""}}},
			I{Pictures: []socialhub.Picture{{Small: "https://a/2", Large: "https://a/3"}}}},
		{"a large picture without https goes, the small one stays",
			I{Pictures: []socialhub.Picture{{Small: "https://a/2", Large: "http://a/3"}}},
			I{Pictures: []socialhub.Picture{{Small: "https://a/2"}}}},
		{"an attachment without https goes", file("ftp://a/1", "text/plain", 1), I{Attachments: []socialhub.Attachment{}}},
		{"a MIME type with parameters goes", file("https://a/1", "text/html; charset=utf-8", 5), file("https://a/1", "", 5)},
		{"a size below zero is unknown", file("https://a/1", "text/plain", -1), file("https://a/1", "text/plain", 0)},
		{"an avatar without https goes", I{Interactor: &socialhub.Interactor{InteractorID: "abc", Name: "n", Picture: "http://a/1"}}, I{Interactor: who("abc", "n")}},
		{"a person's bad address goes", I{Interactor: &socialhub.Interactor{InteractorID: "abc", Name: "n", URL: "javascript:x"}}, I{Interactor: who("abc", "n")}},
		{"a short id gets longer", I{Interactor: who("7", "n")}, I{Interactor: who("id-7", "n")}},
		{"two characters are short too, however many bytes", I{Interactor: who("ßß", "n")}, I{Interactor: who("id-ßß", "n")}},
		{"without a name the id is the name", I{Interactor: who("ab", "")}, I{Interactor: who("id-ab", "ab")}},
		{"without an id there is no person", I{Interactor: who("", "n")}, I{}},
		{"no rating is NaN", rated(math.NaN(), 5), I{}},
		{"no scale is NaN", rated(1, math.NaN()), I{}},
		{"no rating is infinite", rated(math.Inf(1), 5), I{}},
		{"no rating is below zero", rated(-1, 5), I{}},
		{"no scale is below zero", rated(1, -5), I{}},
		{"no scale is above 100", rated(1, 100.5), I{}},
		{"a rating above its scale is SocialHub's to judge", rated(7, 5), rated(7, 5)},
		{"a thread's first item is no reply to itself", I{NetworkItemID: "item-1", Root: &socialhub.Root{RootID: "item-1"}}, I{NetworkItemID: "item-1"}},
		{"a root that can't be an id goes", I{Root: &socialhub.Root{RootID: "no id"}}, I{}},
		{"an empty root goes", I{Root: &socialhub.Root{}}, I{}},
		{"an address that is none goes", I{URL: "www.example.com"}, I{}},
		{"an http address stays", I{URL: "http://example.com/1"}, I{URL: "http://example.com/1"}},
		{"a link that is none goes", I{Link: "file:///etc/passwd"}, I{}},
		{"a type that SocialHub does not know goes", I{Type: "review"}, I{}},
		{"a time before the year 1 goes", I{CreatedTime: time.Date(-4, 1, 1, 0, 0, 0, 0, time.UTC)}, I{}},
		{"a time after the year 9999 goes", I{CreatedTime: time.Date(9999, 12, 31, 23, 0, 0, 0, time.FixedZone("", -2*60*60))}, I{}},
		{"times are UTC", I{CreatedTime: time.Date(2020, 1, 1, 1, 0, 0, 0, east)}, I{CreatedTime: time.Date(2019, 12, 31, 23, 0, 0, 0, time.UTC)}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			before, _ := json.Marshal(test.in.Pictures)
			got := test.in
			mended := mend(&got)
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Error(diff)
			}
			if want := !cmp.Equal(test.in, got); mended != want && test.in.CreatedTime.Location() != east {
				t.Errorf("mended %v, want %v", mended, want)
			}
			if after, _ := json.Marshal(test.in.Pictures); string(after) != string(before) {
				t.Error("the adapter's own slice changed")
			}
		})
	}
}

// anyInteraction draws interactions of which many parts are wrong.
func anyInteraction() *rapid.Generator[socialhub.Interaction] {
	address := rapid.OneOf(
		rapid.SampledFrom([]string{"", "https://a.de/1", "http://a.de/x?y=1", "ftp://a", "https://", "https://a b", "https://ä.de/ü", "https://a/%zz", "HTTPS://a", "https://a\n", "https://[::1]/", "https://a/\"", "//a", "https://a/ü"}),
		rapid.String(), rapid.Map(rapid.String(), func(s string) string { return "https://" + s }),
	)
	number := rapid.OneOf(rapid.Float64(), rapid.SampledFrom([]float64{0, 1, 5, 10, 100, 101, -1, math.NaN(), math.Inf(1), math.MaxFloat64}))
	message := rapid.OneOf(rapid.Just(""), rapid.String(), rapid.Custom(func(t *rapid.T) string {
		return strings.Repeat(rapid.SampledFrom([]string{"a", "😀", "👨‍👩‍👧‍👦", "🇩🇪", "e\u0301", "\xff", "\x00", "\r\n"}).Draw(t, "unit"), rapid.IntRange(0, 10_010).Draw(t, "times"))
	}))
	when := rapid.Map(rapid.Int64(), func(n int64) time.Time {
		return time.Unix(n%400_000_000_000, n&0xffff).In(time.FixedZone("", int(n%50_000)))
	})
	return rapid.Custom(func(t *rapid.T) socialhub.Interaction {
		i := socialhub.Interaction{
			NetworkItemID: rapid.OneOf(rapid.StringMatching(`[a-zA-Z0-9/|@&$!?()\[\]{}+*~,;.:=_-]{6,20}`), rapid.String()).Draw(t, "id"),
			Message:       message.Draw(t, "message"), Link: address.Draw(t, "link"), URL: address.Draw(t, "url"),
		}
		for range rapid.IntRange(0, 2).Draw(t, "pictures") {
			i.Pictures = append(i.Pictures, socialhub.Picture{Small: address.Draw(t, "small"), Large: address.Draw(t, "large")})
		}
		for range rapid.IntRange(0, 2).Draw(t, "attachments") {
			i.Attachments = append(i.Attachments, socialhub.Attachment{
				URL: address.Draw(t, "file"), Name: rapid.String().Draw(t, "name"), Size: rapid.Int64().Draw(t, "size"),
				MimeType: rapid.OneOf(rapid.SampledFrom([]string{"", "image/png", "a/b+c", "a/b; c", "a"}), rapid.String()).Draw(t, "mime"),
			})
		}
		if rapid.Bool().Draw(t, "rated") {
			i.Rating = &socialhub.Rating{Value: number.Draw(t, "value"), Scale: number.Draw(t, "scale")}
		}
		if rapid.Bool().Draw(t, "dated") {
			i.CreatedTime = when.Draw(t, "created")
		}
		if rapid.Bool().Draw(t, "rooted") {
			i.Root = &socialhub.Root{RootID: rapid.OneOf(rapid.SampledFrom([]string{"root-1", "short", i.NetworkItemID}), rapid.String()).Draw(t, "root")}
		}
		if rapid.Bool().Draw(t, "signed") {
			i.Interactor = &socialhub.Interactor{
				InteractorID: rapid.String().Draw(t, "who"), Name: rapid.String().Draw(t, "whose"),
				URL: address.Draw(t, "page"), Picture: address.Draw(t, "avatar"),
			}
		}
		i.Type = rapid.OneOf(rapid.SampledFrom([]string{"", "TICKET", "review"}), rapid.String()).Draw(t, "type")
		return i
	})
}

func TestMendingTwiceIsMendingOnce(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		once := anyInteraction().Draw(t, "interaction")
		mend(&once)
		twice := once
		if mend(&twice) {
			t.Error("the second time says that it mended something")
		}
		if diff := cmp.Diff(once, twice); diff != "" {
			t.Error(diff)
		}
	})
}

func TestSocialHubTakesWhatIsNotRefused(t *testing.T) {
	t.Parallel()
	w := newWorld(t, sandbox.Options{}, sandbox.ChannelOptions{Reusable: true, NetworkID: "ourselves"})
	client := w.options.Channels[0].Client
	src := &w.options.Sources[0]
	taken := make(map[string]bool)
	rapid.Check(t, func(t *rapid.T) {
		in := sources.Item{Interaction: anyInteraction().Draw(t, "interaction"), Deleted: rapid.IntRange(0, 9).Draw(t, "deleted") == 0}
		it := prepare(src, &in, time.Now())
		if it.refusal != "" || taken[it.key] {
			return
		}
		text, reason := it.encode()
		if reason != "" {
			t.Fatalf("not refused, and can't be stored: %s", reason)
		}
		p, err := decodePayload(text)
		if err != nil {
			t.Fatal(err)
		}
		a := client.Create(t.Context(), &p.Interaction)
		// The root of another draw may have made a hidden ticket.
		if a.Outcome != socialhub.Done && a.Outcome != socialhub.Conflict {
			t.Fatalf("POST: %v %s", a.Outcome, a.Reason)
		}
		taken[it.key] = true
		if a.Outcome == socialhub.Conflict {
			return
		}
		if a := client.Update(t.Context(), a.TicketID, socialhub.UpdateOf(&p.Interaction, p.Updated), p.Reset); a.Outcome != socialhub.Done {
			t.Fatalf("PATCH: %v %s", a.Outcome, a.Reason)
		}
	})
	if len(taken) == 0 {
		t.Error("everything was refused")
	}
}

func TestPrepare(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 5, 1, 12, 0, 0, 123_456_789, time.FixedZone("", 3600))
	src := &Source{Name: "s", Reset: true}
	prepared := func(in sources.Item) item { return prepare(src, &in, now) }
	good := text("item-1", "hello")

	t.Run("a change without a time is from now, in UTC and milliseconds", func(t *testing.T) {
		t.Parallel()
		if got, want := prepared(good).payload.Updated, time.Date(2026, 5, 1, 11, 0, 0, 123_000_000, time.UTC); !got.Equal(want) || got.Location() != time.UTC {
			t.Errorf("got %v, want %v", got, want)
		}
		later := good
		later.UpdatedTime = time.Date(12_000, 1, 1, 0, 0, 0, 0, time.UTC)
		if got := prepared(later).payload.Updated.Year(); got != 2026 {
			t.Errorf("a time that can't be sent: got the year %d", got)
		}
	})
	t.Run("our own posts and deletions don't bring a ticket back to the inbox", func(t *testing.T) {
		t.Parallel()
		own, deleted := good, good
		own.Own, deleted.Deleted = true, true
		if !prepared(good).payload.Reset || prepared(own).payload.Reset || prepared(deleted).payload.Reset {
			t.Error("wrong resets")
		}
	})
	t.Run("of a deleted item only the id counts", func(t *testing.T) {
		t.Parallel()
		deleted := good
		deleted.Deleted, deleted.Interaction.Pictures = true, []socialhub.Picture{{Small: "https://a/1"}}
		want := socialhub.Interaction{NetworkItemID: "item-1", Message: redactedMessage}
		if diff := cmp.Diff(want, prepared(deleted).payload.Interaction); diff != "" {
			t.Error(diff)
		}
	})
	t.Run("an item with a bad id is refused under a key that is no id", func(t *testing.T) {
		t.Parallel()
		for _, id := range []string{"", "short", "with space", "a\x00b\xffcdef", strings.Repeat("x", 5000)} {
			it := prepared(text(id, "hello"))
			if it.refusal == "" || it.hash != "" || socialhub.ValidItemID(it.key) || len(it.key) > 500 || !utf8.ValidString(it.key) || strings.Contains(it.key, "\x00") {
				t.Errorf("%.20q: key %q refusal %q", id, it.key, it.refusal)
			}
		}
	})
	t.Run("an item that has nothing to show is refused in one line", func(t *testing.T) {
		t.Parallel()
		it := prepared(sources.Item{Interaction: socialhub.Interaction{NetworkItemID: "item-1", Pictures: []socialhub.Picture{{Small: "http://a/1"}}}})
		if !strings.Contains(it.refusal, "message: is empty") || strings.Contains(it.refusal, "\n") || it.hash == "" {
			t.Errorf("%+v", it)
		}
	})
	t.Run("a fault stands under its place", func(t *testing.T) {
		t.Parallel()
		it := prepared(sources.Item{Fault: &sources.Fault{Place: "a.jsonl:17", Reason: "no JSON"}})
		if it.key != "at a.jsonl:17" || it.refusal != "no JSON" || it.hash != "" {
			t.Errorf("%+v", it)
		}
	})
	t.Run("long places keep their beginning and stay apart", func(t *testing.T) {
		t.Parallel()
		long := strings.Repeat("ä", 300)
		a, b := placeKey(long+"1"), placeKey(long+"2")
		if a == b || len(a) > 500 || !strings.HasPrefix(a, "at ää") || !utf8.ValidString(a) {
			t.Errorf("%q %q", a, b)
		}
	})
	t.Run("of several items with one id the last counts", func(t *testing.T) {
		t.Parallel()
		items := prepareAll(src, []sources.Item{text("item-1", "a"), text("item-2", "b"), text("item-1", "c")}, now)
		if len(items) != 2 || items[0].payload.Interaction.Message != "c" || items[1].key != "item-2" {
			t.Errorf("%+v", items)
		}
	})
}
