package mastodon

import (
	"context"
	"errors"
	"iter"
	"time"

	gomastodon "github.com/mattn/go-mastodon"

	"socialhub-sync/sources"
)

// lookBackCalls is about how many requests of a poll go into looking back, shared by its streams: with a poll a minute
// they stay below the 300 requests in 5 minutes that Mastodon allows an account by default.
const lookBackCalls = 40

// Pull implements [sources.Source]. Each page of a stream ends with a batch that carries the cursor.
func (s *source) Pull(ctx context.Context, req sources.Request) iter.Seq2[sources.Batch, error] {
	return func(yield func(sources.Batch, error) bool) {
		if err := s.pull(ctx, &req, &out{ctx: ctx, yield: yield}); err != nil && !errors.Is(err, errEnough) {
			yield(sources.Batch{}, err)
		}
	}
}

// feed is one of the streams that a source reads.
type feed struct {
	name string
	page func(context.Context, gomastodon.Pagination) (*page, error)
	// threads tells that the replies below its statuses are wanted.
	threads bool
}

func (s *source) feeds(me gomastodon.ID) []feed {
	var list []feed
	if s.settings.Mentions {
		list = append(list, feed{name: "mentions", page: s.api.mentions})
	}
	if s.settings.Threads {
		list = append(list, feed{name: "threads", threads: true, page: func(ctx context.Context, at gomastodon.Pagination) (*page, error) {
			return s.api.own(ctx, me, at)
		}})
	}
	for _, tag := range s.settings.Hashtags {
		tag = tagName(tag)
		list = append(list, feed{name: "#" + tag, page: func(ctx context.Context, at gomastodon.Pagination) (*page, error) {
			return s.api.tagged(ctx, tag, at)
		}})
	}
	return list
}

func (s *source) pull(ctx context.Context, req *sources.Request, to *out) error {
	me, err := s.api.me(ctx)
	if err != nil {
		return err
	}
	r := &run{source: s, ctx: ctx, req: req, out: to, me: me.ID, cursor: s.load(req.Cursor, string(me.ID)), roots: map[string]string{}}
	feeds := s.feeds(me.ID)
	if !req.Backfill {
		return r.poll(feeds)
	}
	for _, f := range feeds {
		if err := r.backfill(&f, r.cursor.stream(f.name)); err != nil {
			return err
		}
	}
	return nil
}

// run is one pull.
type run struct {
	*source
	ctx    context.Context
	req    *sources.Request
	out    *out
	me     gomastodon.ID
	cursor *cursor
	// roots has the root of each status that was handed out, by their ids; the root of one on top is itself.
	roots map[string]string
	// covered are the statuses of the page below which all was read.
	covered map[string]bool
}

// poll reads what is new in all streams and looks back then, so that the server's limit of requests can't keep it from
// the last streams.
func (r *run) poll(feeds []feed) error {
	var lookBacks []func() error
	for _, f := range feeds {
		at := r.cursor.stream(f.name)
		if at.Newest == "" {
			if err := r.begin(&f, at); err != nil {
				return err
			}
			continue
		}
		// What was young at the end of the last poll is read once more, however much is new.
		since := earlier(at.NewestAt, time.Now()).Add(-r.settings.Rescan)
		if err := r.fresh(&f, at); err != nil {
			return err
		}
		if at.First {
			if err := r.begin(&f, at); err != nil {
				return err
			}
			continue
		}
		lookBacks = append(lookBacks, func() error { return r.lookBack(&f, at, since, lookBackCalls/len(feeds)) })
	}
	for _, lookBack := range lookBacks {
		if err := lookBack(); err != nil {
			return err
		}
	}
	return nil
}

// begin reads a stream for the first time, from the top down. It may take several pulls.
func (r *run) begin(f *feed, at *stream) error {
	since := func() time.Time { return earlier(at.NewestAt, time.Now()).Add(-r.settings.History) }
	if _, err := r.down(f, at, since, func() bool { return true }, r.cursor); err != nil {
		return err
	}
	if at.Newest == "" {
		return r.out.flush(nil) // there is nothing yet
	}
	at.First, at.Below = false, ""
	return r.out.flush(r.cursor)
}

// lookBack reads again what is young, with about as many calls. The cursor moves only if these are not enough, or the
// server wants no more of them: the next look back goes on there.
func (r *run) lookBack(f *feed, at *stream, since time.Time, calls int) error {
	end := r.api.calls.Load() + int64(calls)
	finished, err := r.down(f, at, func() time.Time { return since }, func() bool { return r.api.calls.Load() < end }, nil)
	if _, wait := errors.AsType[*sources.RetryAfterError](err); wait {
		if failed := r.out.flush(r.cursor); failed != nil {
			return failed
		}
	}
	if err != nil {
		return err
	}
	if finished {
		at.Below = ""
	}
	return r.out.flush(r.cursor)
}

func earlier(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}

// backfill reads a stream down to where the request begins; own posts further, because what they are answered may be
// younger than they are.
func (r *run) backfill(f *feed, at *stream) error {
	if at.Done {
		return nil
	}
	since := r.req.Since
	if f.threads && !since.IsZero() {
		since = since.Add(-r.settings.Rescan)
	}
	_, err := r.down(f, at, func() time.Time { return since }, func() bool { return true }, r.cursor)
	if err != nil {
		return err
	}
	at.Done = true
	return r.out.flush(r.cursor)
}

// fresh pages up from the newest id that is stored.
func (r *run) fresh(f *feed, at *stream) error {
	for {
		p, err := f.page(r.ctx, gomastodon.Pagination{MinID: gomastodon.ID(at.Newest)})
		if err != nil {
			return err
		}
		if len(p.entries) > 0 && p.oldest != "" && compareIDs(p.oldest, at.Newest) <= 0 {
			return r.api.pagesWrong("min_id")
		}
		if err := r.hand(f, p.entries); err != nil {
			return err
		}
		if p.newest == "" {
			return r.out.flush(nil)
		}
		at.Newest = p.newest
		at.sees(p)
		if err := r.out.flush(r.cursor); err != nil {
			return err
		}
	}
}

// down pages from where it was left, or else from the top, to the first page on which all is older than since. It
// finishes there or at the stream's end, or stops when there should be no more. Each page but the last is a batch with
// the cursor, if there is one.
func (r *run) down(f *feed, at *stream, since func() time.Time, more func() bool, c *cursor) (finished bool, err error) {
	for more() {
		p, err := f.page(r.ctx, gomastodon.Pagination{MaxID: gomastodon.ID(at.Below)})
		if err != nil {
			return false, err
		}
		if at.Below != "" && (p.newest != "" && compareIDs(p.newest, at.Below) >= 0 || compareIDs(p.next, at.Below) >= 0) {
			return false, r.api.pagesWrong("max_id")
		}
		if at.Newest == "" && p.newest != "" {
			at.Newest, at.First = p.newest, true
		}
		at.sees(p)
		young := notBefore(p.entries, since())
		if err := r.hand(f, young); err != nil {
			return false, err
		}
		if p.next == "" || len(young) == 0 {
			return true, nil
		}
		at.Below = p.next
		if err := r.out.flush(c); err != nil {
			return false, err
		}
	}
	return false, nil
}

// notBefore leaves out what is older. What has no time stays.
func notBefore(entries []entry, since time.Time) []entry {
	var young []entry
	for _, e := range entries {
		if e.at.IsZero() || !e.at.Before(since) {
			young = append(young, e)
		}
	}
	return young
}

// hand hands out the statuses of a page, lowest id first, with what belongs to them.
func (r *run) hand(f *feed, entries []entry) error {
	r.covered = map[string]bool{}
	for _, e := range entries {
		var err error
		switch {
		case e.fault != nil:
			err = r.out.add(sources.Item{Fault: e.fault})
		case e.status != nil:
			err = r.status(e.status, f.threads)
		}
		if err != nil {
			return err
		}
	}
	return nil
}
