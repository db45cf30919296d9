package rss

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	godiff "github.com/google/go-cmp/cmp"

	"socialhub-sync/socialhub"
	"socialhub-sync/sources"
)

// feedOf is a feed with entries 1 to n, one a minute, newest first.
func feedOf(n int) string {
	var b strings.Builder
	b.WriteString(`<rss version="2.0"><channel><title>t</title>`)
	for id := n; id > 0; id-- {
		at := time.Date(2026, 1, 1, 0, id, 0, 0, time.UTC)
		fmt.Fprintf(&b, `<item><guid isPermaLink="false">item-%d</guid><title>Entry %d</title><pubDate>%s</pubDate></item>`, id, id, at.Format(time.RFC1123Z))
	}
	b.WriteString(`</channel></rss>`)
	return b.String()
}

func ids(batches []sources.Batch) []string {
	var list []string
	for _, b := range batches {
		for _, item := range b.Items {
			list = append(list, item.Interaction.NetworkItemID)
		}
	}
	return list
}

func TestAFeedThatDidNotChangeIsNotSentAgain(t *testing.T) {
	t.Parallel()
	var got http.Header
	address := serve(t, func(w http.ResponseWriter, r *http.Request) {
		got = r.Header
		w.Header().Set("ETag", `"v1"`)
		w.Header().Set("Last-Modified", "Sat, 31 Jan 2026 12:00:00 GMT")
		if r.URL.Path == "/patient" {
			w.Header().Set("Cache-Control", "max-age=900")
		}
		if r.Header.Get("If-None-Match") == `"v1"` {
			w.WriteHeader(http.StatusNotModified)
			return
		}
		fmt.Fprint(w, feedOf(2))
	})
	source := open(t, address, "")
	batches, err := pullAll(t, source, sources.Request{})
	if err != nil || len(batches) != 1 {
		t.Fatal(batches, err)
	}
	if got.Get("If-None-Match") != "" || got.Get("User-Agent") != "sync/1" || !strings.Contains(got.Get("Accept"), "application/atom+xml") {
		t.Errorf("headers of the first request: %v", got)
	}
	cursor := batches[0].Cursor

	t.Run("by the next poll", func(t *testing.T) {
		batches, err := pullAll(t, source, sources.Request{Cursor: cursor})
		if err != nil || len(batches) != 0 {
			t.Errorf("got %v, %v", batches, err)
		}
		if got.Get("If-None-Match") != `"v1"` || got.Get("If-Modified-Since") != "Sat, 31 Jan 2026 12:00:00 GMT" {
			t.Errorf("headers: %v", got)
		}
	})
	t.Run("though a backfill wants it whole", func(t *testing.T) {
		batches, err := pullAll(t, source, sources.Request{
			Cursor: cursor, Backfill: true, Since: time.Date(2026, 1, 1, 0, 2, 0, 0, time.UTC),
		})
		if err != nil || len(batches) != 1 || batches[0].Cursor != "" {
			t.Errorf("got %v, %v", batches, err)
		}
		if diff := godiff.Diff([]string{"test-item-2"}, ids(batches)); diff != "" {
			t.Error(diff)
		}
	})
	t.Run("but another address is", func(t *testing.T) {
		if batches, err := pullAll(t, open(t, address+"/?category=2", ""), sources.Request{Cursor: cursor}); err != nil || len(ids(batches)) != 2 {
			t.Errorf("got %v, %v", batches, err)
		}
	})
	t.Run("and a cursor of another version is not used", func(t *testing.T) {
		for _, wrong := range []string{"nonsense", strings.Replace(cursor, `"v":1`, `"v":2`, 1)} {
			if batches, err := pullAll(t, source, sources.Request{Cursor: wrong}); err != nil || len(ids(batches)) != 2 {
				t.Errorf("%s: got %v, %v", wrong, batches, err)
			}
		}
	})
	t.Run("nor asked for before it is stale", func(t *testing.T) {
		patient := open(t, address+"/patient", "")
		before := time.Now()
		first, err := pullAll(t, patient, sources.Request{})
		if err != nil || first[0].NotBefore.Before(before.Add(15*time.Minute)) {
			t.Fatalf("got %v, %v", first, err)
		}
		second, err := pullAll(t, patient, sources.Request{Cursor: first[0].Cursor})
		if err != nil || len(second) != 1 || second[0].NotBefore.Before(before.Add(15*time.Minute)) ||
			second[0].Cursor != "" || second[0].Items != nil {
			t.Errorf("got %v, %v", second, err)
		}
	})
}

func TestALargeFeedComesInBatchesOldestFirst(t *testing.T) {
	t.Parallel()
	address := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("ETag", `"v1"`)
		fmt.Fprint(w, feedOf(2*sources.MaxBatch+1))
	})
	source := open(t, address, "")
	batches, err := pullAll(t, source, sources.Request{})
	if err != nil || len(batches) != 3 {
		t.Fatalf("%d batches, %v", len(batches), err)
	}
	for n, id := range ids(batches) {
		if want := fmt.Sprintf("test-item-%d", n+1); id != want {
			t.Fatalf("item %d is %s", n, id)
		}
	}
	if batches[0].Cursor != "" || batches[1].Cursor != "" || !strings.Contains(batches[2].Cursor, "v1") {
		t.Errorf("cursors %q, %q, %q", batches[0].Cursor, batches[1].Cursor, batches[2].Cursor)
	}
	for batch := range source.Pull(t.Context(), sources.Request{}) {
		if batch.Cursor != "" {
			t.Errorf("the first batch has the cursor %s", batch.Cursor)
		}
		break
	}
}

func TestTheAnswersOfAServerSayWhatToDo(t *testing.T) {
	t.Parallel()
	status := http.StatusUnauthorized
	address := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Retry-After", "7")
		w.WriteHeader(status)
	})
	source := open(t, strings.Replace(address, "://", "://jo:s3cret@", 1)+"/t0ken/feed?key=k3y", "")
	_, err := pullAll(t, source, sources.Request{})
	if _, ok := errors.AsType[*sources.StopError](err); !ok {
		t.Errorf("401: %v", err)
	}
	for _, secret := range []string{"s3cret", "k3y", "t0ken"} {
		if strings.Contains(err.Error(), secret) {
			t.Errorf("%q is in %v", secret, err)
		}
	}
	status = http.StatusTooManyRequests
	_, err = pullAll(t, source, sources.Request{})
	if retry, ok := errors.AsType[*sources.RetryAfterError](err); !ok || retry.After != 7*time.Second {
		t.Errorf("429: %v", err)
	}
}

func TestACursorHoldsNoCredentials(t *testing.T) {
	t.Parallel()
	address := serve(t, func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, feedOf(1)) })
	batches, err := pullAll(t, open(t, strings.Replace(address, "://", "://jo:s3cret@", 1)+"/?key=k3y", ""), sources.Request{})
	if err != nil {
		t.Fatal(err)
	}
	for _, secret := range []string{"s3cret", "k3y", "jo"} {
		if strings.Contains(batches[0].Cursor, secret) {
			t.Errorf("%q is in %s", secret, batches[0].Cursor)
		}
	}
}

func TestAPullEndsWithItsContextAndSaysWhy(t *testing.T) {
	t.Parallel()
	reason := errors.New("shutting down")
	ctx, cancel := context.WithCancelCause(t.Context())
	defer cancel(nil)
	address := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/slow" {
			cancel(reason)
			<-r.Context().Done()
			panic(http.ErrAbortHandler)
		}
		fmt.Fprint(w, feedOf(3*sources.MaxBatch))
	})
	source := open(t, address, "")
	batches := 0
	var last error
	slow, stop := context.WithCancelCause(t.Context())
	for _, err := range source.Pull(slow, sources.Request{}) {
		if last = err; err == nil {
			batches++
		}
		stop(reason)
	}
	stop(nil)
	if batches != 1 || !errors.Is(last, reason) {
		t.Errorf("between batches: %d batches, then %v", batches, last)
	}
	for _, err := range open(t, address+"/slow", "").Pull(ctx, sources.Request{}) {
		if !errors.Is(err, reason) {
			t.Errorf("while waiting: %v", err)
		}
	}
	if _, err := parse(ctx, &sources.HTTPAnswer{Body: []byte(feedOf(1))}); !errors.Is(err, reason) {
		t.Errorf("while parsing: %v", err)
	}
}

// TestAFeedBuiltToDoHarmIsRefused would overflow the stack, or run for hours.
func TestAFeedBuiltToDoHarmIsRefused(t *testing.T) {
	t.Parallel()
	item := func(inside string) string {
		return `<rss version="2.0" xmlns:x="http://x.example/"><channel><item><title>t</title>` + inside + `</item></channel></rss>`
	}
	deep := strings.Repeat("<x:y>", 300_000) + strings.Repeat("</x:y>", 300_000)
	for _, c := range []struct{ name, body, want string }{
		{"nested", item(deep), "nested too deep"},
		{"nested after what XML forbids", item("\x01" + deep), "nested too deep"},
		{"in many pieces", item("<x:y>" + strings.Repeat("a<!---->", 200_000) + "</x:y>"), "takes more than 1s"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			address := serve(t, func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, c.body) })
			s := open(t, address, "").(*source)
			if s.parseTime = parseTime; strings.Contains(c.want, "1s") {
				s.parseTime = time.Second
			}
			batches, err := pullAll(t, s, sources.Request{})
			setting, ok := errors.AsType[*sources.SettingError](err)
			if !ok || setting.Key != "url" || !strings.Contains(setting.Problem, c.want) || len(batches) != 0 {
				t.Errorf("got %d batches, %v", len(batches), err)
			}
		})
	}
}

func TestWrongSettingsAreToldByKeyWithoutCredentials(t *testing.T) {
	t.Parallel()
	right := func() *Settings {
		s := New().Settings().(*Settings)
		s.URL = sources.NewSecret("https://example.com/feed")
		return s
	}
	if err := right().Validate(); err != nil {
		t.Errorf("right settings: %v", err)
	}
	for _, c := range []struct {
		name, key string
		change    func(*Settings)
	}{
		{"no address", "url", func(s *Settings) { s.URL = sources.Secret{} }},
		{"a file", "url", func(s *Settings) { s.URL = sources.NewSecret("file:///etc/passwd") }},
		{"no host", "url", func(s *Settings) { s.URL = sources.NewSecret("https:///feed?key=k3y") }},
		{"no address at all", "url", func(s *Settings) { s.URL = sources.NewSecret("https://jo:k3y@ho st/") }},
		{"a prefix with a space", "prefix", func(s *Settings) { s.Prefix = "my blog" }},
		{"a long prefix", "prefix", func(s *Settings) { s.Prefix = strings.Repeat("x", socialhub.MaxItemID) }},
		{"no time", "timeout", func(s *Settings) { s.Timeout = 0 }},
		{"too much time", "timeout", func(s *Settings) { s.Timeout = time.Hour }},
		{"no size", "max_size", func(s *Settings) { s.MaxSize = -1 }},
		{"too much size", "max_size", func(s *Settings) { s.MaxSize = 1 << 40 }},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s := right()
			c.change(s)
			err := s.Validate()
			setting, ok := errors.AsType[*sources.SettingError](err)
			if !ok || setting.Key != c.key || strings.Contains(err.Error(), "k3y") {
				t.Errorf("got %v", err)
			}
		})
	}
	if err := (&Settings{}).Validate(); err == nil || strings.Count(err.Error(), "\n") != 2 {
		t.Errorf("not every fault is told: %v", err)
	}
}

// FuzzFeed reads any bytes as a feed.
func FuzzFeed(f *testing.F) {
	for _, name := range []string{"rss-2/feed.xml", "rss-1/feed.xml", "atom/feed.xml", "json-feed/feed.json", "app-store/feed.xml", "video-channel/feed.xml", "utf-16/feed.xml"} {
		f.Add([]byte(read(&testing.T{}, "testdata/"+name)), "")
	}
	f.Add([]byte(feedOf(1)), "text/xml; charset=koi8-r")
	f.Add([]byte(`{"version":"https://jsonfeed.org/version/1","items":[{"id":1,"authors":[null],"attachments":[{}]}]}`), "application/json")
	f.Fuzz(func(t *testing.T, body []byte, contentType string) {
		answer := &sources.HTTPAnswer{Body: body, Header: http.Header{"Content-Type": {contentType}}}
		entries, err := parse(t.Context(), answer)
		if err != nil {
			return
		}
		s := &source{prefix: "test"}
		seen := map[string]bool{}
		for _, item := range s.items(entries, &sources.Request{}) {
			i := item.Interaction
			if !socialhub.ValidItemID(i.NetworkItemID) || seen[i.NetworkItemID] {
				t.Errorf("id %q", i.NetworkItemID)
			}
			seen[i.NetworkItemID] = true
			if i.Interactor != nil && (len(i.Interactor.InteractorID) < socialhub.MinInteractorID || i.Interactor.Name == "") {
				t.Errorf("interactor %+v", i.Interactor)
			}
			if i.CreatedTime.Location() != time.UTC {
				t.Errorf("time %s", i.CreatedTime)
			}
		}
	})
}
