package mastodon

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/goccy/go-yaml"
	"github.com/google/go-cmp/cmp"

	"socialhub-sync/sources"
)

// open opens a source with settings as they stand in a config.
func open(tb testing.TB, server, more string, log *slog.Logger) sources.Source {
	tb.Helper()
	s := New().Settings()
	text := "server: " + server + "\naccess_token: " + token + "\n" + more
	if err := yaml.UnmarshalWithOptions([]byte(text), s, yaml.Strict()); err != nil {
		tb.Fatal(err)
	}
	if err := s.Validate(); err != nil {
		tb.Fatal(err)
	}
	source, err := s.Open(tb.Context(), sources.Env{Name: "test", Logger: log, UserAgent: "sync/1"})
	if err != nil {
		tb.Fatal(err)
	}
	return source
}

// poll is one poll as the engine makes it: the source is opened for it.
type poll struct {
	batches []sources.Batch
	cursor  string
	err     error
}

func pull(t *testing.T, server, settings string, req sources.Request) poll {
	t.Helper()
	source := open(t, server, settings, slog.New(slog.DiscardHandler))
	defer func() {
		if err := source.Close(); err != nil {
			t.Error(err)
		}
	}()
	p := poll{cursor: req.Cursor}
	for batch, err := range source.Pull(t.Context(), req) {
		if p.err = err; err != nil {
			break
		}
		p.batches = append(p.batches, batch)
		if batch.Cursor != "" {
			p.cursor = batch.Cursor
		}
	}
	return p
}

func (p *poll) ids() []string {
	var list []string
	for _, b := range p.batches {
		for _, item := range b.Items {
			list = append(list, strings.TrimPrefix(item.Interaction.NetworkItemID, "test-"))
		}
	}
	return list
}

// messages are by id.
func (p *poll) messages() map[string]string {
	found := map[string]string{}
	for _, b := range p.batches {
		for _, item := range b.Items {
			found[strings.TrimPrefix(item.Interaction.NetworkItemID, "test-")] = item.Interaction.Message
		}
	}
	return found
}

// fill puts n mentions into the server, one a second up to the time; it returns their ids, oldest first.
func fill(f *fake, n int, last time.Time) []string {
	var ids []string
	for i := range n {
		at := last.Add(time.Duration(i-n+1) * time.Second)
		ids = append(ids, f.put(post{ID: snowflake(at, i), CreatedAt: at, Account: anna, Content: fmt.Sprintf("<p>post %d</p>", i), Tags: []tag{{"tea"}}}))
		f.mention(ids[i])
	}
	return ids
}

func hourAgo() time.Time { return time.Now().Add(-time.Hour).UTC().Truncate(time.Second) }

func TestANewSourceBeginsWhereHistorySays(t *testing.T) {
	t.Parallel()
	f := newFake()
	server := f.start(t)
	ids := fill(f, 120, hourAgo())
	p := pull(t, server, "threads: false\nhistory: 99s", sources.Request{})
	got := p.ids()
	slices.SortFunc(got, compareIDs)
	if diff := cmp.Diff(ids[20:], got); diff != "" || p.err != nil {
		t.Errorf("%v %s", p.err, diff)
	}
}

func TestWhatIsNewComesOldestFirstAndEachPageIsKept(t *testing.T) {
	t.Parallel()
	f := newFake()
	server := f.start(t)
	const settings = "mentions: false\nthreads: false\nhashtags: [tea]\nrescan: 1m"
	fill(f, 1, hourAgo().Add(-10*time.Minute))
	first := pull(t, server, settings, sources.Request{})
	ids := fill(f, 100, hourAgo())
	second := pull(t, server, settings, sources.Request{Cursor: first.cursor})
	if second.err != nil || len(second.batches) < 3 {
		t.Fatal(second)
	}
	if diff := cmp.Diff(ids, second.ids()[:100]); diff != "" {
		t.Error(diff)
	}
	// A process that dies after the first page goes on with the second one.
	third := pull(t, server, settings, sources.Request{Cursor: second.batches[0].Cursor})
	if got := third.ids(); third.err != nil || got[0] != ids[statusesPerPage] {
		t.Errorf("went on with %s, %v", got[0], third.err)
	}
}

func TestAQuietPollIsCheapAndLeavesTheCursorAlone(t *testing.T) {
	t.Parallel()
	f := newFake()
	server := f.start(t)
	fill(f, 10, hourAgo())
	first := pull(t, server, "hashtags: [tea]", sources.Request{})
	f.forgetRequests()
	second := pull(t, server, "hashtags: [tea]", sources.Request{Cursor: first.cursor})
	if second.err != nil || second.cursor != first.cursor {
		t.Errorf("%v; the cursor went from %s to %s", second.err, first.cursor, second.cursor)
	}
	// No own posts: that stream begins anew each time, which is one request.
	if diff := cmp.Diff(map[string]int{"me": 1, "mentions": 2, "own": 1, "#tea": 2}, f.requests); diff != "" {
		t.Error(diff)
	}
}

func TestLookingBackIsSpreadOverPollsWhenThereIsMuch(t *testing.T) {
	t.Parallel()
	f := newFake()
	server := f.start(t)
	const settings = "mentions: false\nthreads: false\nhashtags: [tea]"
	const n = 2*lookBackCalls*statusesPerPage + statusesPerPage/2
	ids := fill(f, n, hourAgo())
	p := pull(t, server, settings, sources.Request{})
	if len(p.ids()) != n {
		t.Fatalf("the first poll has %d posts, %v", len(p.ids()), p.err)
	}
	f.edit(ids[0], "<p>changed</p>", time.Now().UTC())
	changed := 0
	for polls := 1; polls <= 3; polls++ {
		f.forgetRequests()
		before := p.cursor
		p = pull(t, server, settings, sources.Request{Cursor: p.cursor})
		if calls := f.count("#tea"); p.err != nil || calls > lookBackCalls+1 {
			t.Errorf("poll %d: %d calls, %v", polls, calls, p.err)
		}
		if p.cursor == before {
			t.Errorf("poll %d left no note of where to go on", polls)
		}
		if p.messages()[ids[0]] == "changed" {
			changed = polls
		}
	}
	if changed != 3 {
		t.Errorf("the edit of the oldest post was seen by poll %d", changed)
	}
	if p = pull(t, server, settings, sources.Request{Cursor: p.cursor}); !slices.Contains(p.ids(), ids[n-1]) {
		t.Error("after its end, looking back does not begin at the top again")
	}
}

func TestAReplyInAnOwnThreadIsFoundThoughItMentionsNobody(t *testing.T) {
	t.Parallel()
	f := newFake()
	server := f.start(t)
	at := hourAgo()
	say := func(minutes int, by account, parent *string) string {
		when := at.Add(time.Duration(minutes) * time.Minute)
		return f.put(post{ID: snowflake(when, 0), CreatedAt: when, Account: by, Content: "<p>x</p>", InReplyToID: parent})
	}
	top := say(0, me, nil)
	first := pull(t, server, "", sources.Request{})
	ben := account{ID: "3", Username: "ben", Acct: "ben"}
	one := say(1, anna, &top)
	two := say(2, ben, &one)
	ours := say(3, me, &two)
	four := say(4, ben, &ours)
	f.forgetRequests()
	second := pull(t, server, "", sources.Request{Cursor: first.cursor})
	roots := map[string]string{}
	own := map[string]bool{}
	for _, b := range second.batches {
		for _, item := range b.Items {
			id := strings.TrimPrefix(item.Interaction.NetworkItemID, "test-")
			own[id] = item.Own
			roots[id] = ""
			if item.Interaction.Root != nil {
				roots[id] = strings.TrimPrefix(item.Interaction.Root.RootID, "test-")
			}
		}
	}
	if diff := cmp.Diff(map[string]string{top: "", one: top, two: top, ours: top, four: top}, roots); diff != "" || second.err != nil {
		t.Errorf("roots, %v: %s", second.err, diff)
	}
	if diff := cmp.Diff(map[string]bool{top: true, one: false, two: false, ours: true, four: false}, own); diff != "" {
		t.Errorf("own: %s", diff)
	}
	// Once for our new post, once for the thread as a whole.
	if n := f.count("context"); n != 2 {
		t.Errorf("asked for %d threads", n)
	}
	if got := second.ids(); slices.Index(got, top) > slices.Index(got, one) {
		t.Errorf("the order is %v", got)
	}
}

func TestABackfillFindsYoungRepliesBelowAnOldPost(t *testing.T) {
	t.Parallel()
	f := newFake()
	server := f.start(t)
	at := hourAgo()
	top := f.put(post{ID: snowflake(at.Add(-24*time.Hour), 0), CreatedAt: at.Add(-24 * time.Hour), Account: me, Content: "<p>x</p>"})
	f.put(post{ID: snowflake(at.Add(-23*time.Hour), 1), CreatedAt: at.Add(-23 * time.Hour), Account: anna, InReplyToID: &top})
	reply := f.put(post{ID: snowflake(at, 2), CreatedAt: at, Account: anna, InReplyToID: &top})
	p := pull(t, server, "mentions: false", sources.Request{Backfill: true, Since: at.Add(-time.Minute)})
	if diff := cmp.Diff([]string{top, reply}, p.ids()); diff != "" || p.err != nil {
		t.Errorf("%v %s", p.err, diff)
	}
	f.forgetRequests()
	if again := pull(t, server, "mentions: false", sources.Request{Backfill: true, Since: at, Cursor: p.cursor}); again.batches != nil || f.count("own") != 0 {
		t.Errorf("a backfill that is done does something: %v", again)
	}
}

func TestTooManyRequestsEndThePollUntilTheServerSays(t *testing.T) {
	t.Parallel()
	f := newFake()
	server := f.start(t)
	const settings = "mentions: false\nthreads: false\nhashtags: [tea]"
	ids := fill(f, 200, hourAgo())
	f.left, f.reset = 3, time.Now().Add(2*time.Minute).UTC().Format("2006-01-02T15:04:05.000000Z07:00")
	first := pull(t, server, settings, sources.Request{})
	retry, ok := errors.AsType[*sources.RetryAfterError](first.err)
	if !ok || retry.After < 100*time.Second || retry.After > 2*time.Minute {
		t.Fatalf("got %v", first.err)
	}
	if f.count("#tea") != 2 || len(first.batches) != 2 {
		t.Errorf("%d requests, %d batches", f.count("#tea"), len(first.batches))
	}
	f.left = -1
	second := pull(t, server, settings, sources.Request{Cursor: first.cursor})
	got := append(first.ids(), second.ids()...)
	slices.SortFunc(got, compareIDs)
	if diff := cmp.Diff(ids, slices.Compact(got)); diff != "" || second.err != nil {
		t.Errorf("%v %s", second.err, diff)
	}
}

// TestALimitOfRequestsHoldsUpNoStream has a server that lets each poll look back at a page of the first stream only.
func TestALimitOfRequestsHoldsUpNoStream(t *testing.T) {
	t.Parallel()
	f := newFake()
	server := f.start(t)
	const settings = "threads: false\nhashtags: [tea, coffee]"
	fill(f, 3*mentionsPerPage, hourAgo())
	say := func(minutes int) string {
		at := hourAgo().Add(time.Duration(minutes) * time.Minute)
		return f.put(post{ID: snowflake(at, 0), CreatedAt: at, Account: anna, Content: "<p>x</p>", Tags: []tag{{"coffee"}}})
	}
	say(1)
	p := pull(t, server, settings, sources.Request{})
	if p.err != nil {
		t.Fatal(p.err)
	}
	last := say(2)
	f.reset = time.Now().Add(time.Minute).UTC().Format(time.RFC3339)
	below := ""
	for polls := 1; polls <= 2; polls++ {
		f.left = 7 - polls // who we are, what is new and another page of coffee, the latter in the first poll only; one to look back
		p = pull(t, server, settings, sources.Request{Cursor: p.cursor})
		if _, wait := errors.AsType[*sources.RetryAfterError](p.err); !wait {
			t.Fatal(p.err)
		}
		if polls == 1 && !slices.Contains(p.ids(), last) {
			t.Error("looking back at the first stream keeps the poll from what is new in the last one")
		}
		var c cursor
		if err := json.Unmarshal([]byte(p.cursor), &c); err != nil {
			t.Fatal(err)
		}
		if now := c.Streams["mentions"].Below; now == "" || now == below {
			t.Errorf("poll %d does not keep how far it looked back: below %q after %q", polls, now, below)
		} else {
			below = now
		}
	}
}

func TestAServerThatIgnoresMinIDIsRefused(t *testing.T) {
	t.Parallel()
	f := newFake()
	server := f.start(t)
	fill(f, 5, hourAgo())
	first := pull(t, server, "threads: false", sources.Request{})
	f.change = func(_ http.ResponseWriter, r *http.Request) bool {
		query := r.URL.Query()
		query.Del("min_id")
		r.URL.RawQuery = query.Encode()
		return false
	}
	second := pull(t, server, "threads: false", sources.Request{Cursor: first.cursor})
	setting, ok := errors.AsType[*sources.SettingError](second.err)
	if !ok || setting.Key != "server" || !strings.Contains(setting.Problem, "min_id") || second.batches != nil {
		t.Errorf("got %v and %v", second.err, second.batches)
	}
}

func TestTheTokenGoesToNoOtherServer(t *testing.T) {
	t.Parallel()
	other := newFake()
	elsewhere := other.start(t)
	f := newFake()
	f.change = func(w http.ResponseWriter, r *http.Request) bool {
		http.Redirect(w, r, elsewhere+r.URL.RequestURI(), http.StatusFound)
		return true
	}
	p := pull(t, f.start(t), "", sources.Request{})
	if p.err == nil || !strings.Contains(p.err.Error(), elsewhere) || len(other.requests) != 0 {
		t.Errorf("%v, %v", p.err, other.requests)
	}
}

func TestAnotherAccountBeginsAnew(t *testing.T) {
	t.Parallel()
	f := newFake()
	server := f.start(t)
	fill(f, 3, hourAgo())
	p := pull(t, server, "threads: false", sources.Request{})
	for _, other := range []string{
		strings.Replace(p.cursor, `"account":"1001"`, `"account":"7"`, 1),
		strings.Replace(p.cursor, strings.TrimPrefix(server, "http://"), "old.example", 1),
	} {
		var log strings.Builder
		source := open(t, server, "threads: false", slog.New(slog.NewTextHandler(&log, nil)))
		n := 0
		for batch, err := range source.Pull(t.Context(), sources.Request{Cursor: other}) {
			if err != nil {
				t.Error(err)
			}
			n += len(batch.Items)
		}
		if err := source.Close(); err != nil {
			t.Error(err)
		}
		if other == p.cursor || n != 3 || !strings.Contains(log.String(), "read as a new one") {
			t.Errorf("%d items, log %s", n, log.String())
		}
	}
}

func TestABatchHasNoIDTwiceAndEndsInTime(t *testing.T) {
	t.Parallel()
	var got []sources.Batch
	o := &out{ctx: t.Context(), yield: func(b sources.Batch, _ error) bool { got = append(got, b); return true }}
	add := func(id, message string) {
		item := sources.Item{}
		item.Interaction.NetworkItemID, item.Interaction.Message = id, message
		if err := o.add(item); err != nil {
			t.Fatal(err)
		}
	}
	add("item-1", "old")
	add("item-2", "other")
	add("item-1", "new")
	add("item-3", strings.Repeat("x", sources.BatchBytes))
	add("item-4", "small")
	if err := o.flush(nil); err != nil {
		t.Fatal(err)
	}
	if len(got) != 3 || len(got[0].Items) != 2 || got[0].Items[0].Interaction.Message != "new" || len(got[1].Items) != 1 {
		t.Errorf("got %d batches", len(got))
	}
	reason := errors.New("shutting down")
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(reason)
	o.ctx = ctx
	add("item-5", "late")
	if err := o.flush(nil); !errors.Is(err, reason) || len(got) != 3 {
		t.Errorf("after the end: %v", err)
	}
}

func TestARefHasTheIDAndNothingOfTheContent(t *testing.T) {
	t.Parallel()
	f := newFake()
	server := f.start(t)
	at := hourAgo()
	f.mention(f.put(post{ID: snowflake(at, 1), CreatedAt: at, Account: anna, Visibility: "direct", SpoilerText: "sad news", Content: "<p>x</p>"}))
	p := pull(t, server, "threads: false", sources.Request{})
	if diff := cmp.Diff(`{"id":"`+snowflake(at, 1)+`"}`, string(p.batches[0].Items[0].Ref)); diff != "" {
		t.Error(diff)
	}
}
