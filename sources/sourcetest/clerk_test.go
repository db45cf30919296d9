package sourcetest

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"socialhub-sync/socialhub"
	"socialhub-sync/sources"
)

// office is a system with an API: /items?since=&after= for what changed since a time, page by page by a token, and
// /items?page= for all of it by numbers.
type office struct {
	Shelf
	*Server
	mu      sync.Mutex
	gone    map[int]Item
	replies []entry
	deeds   []Deed
}

func newOffice(t testing.TB) World {
	o := &office{gone: map[int]Item{}}
	mux := http.NewServeMux()
	mux.HandleFunc("/", o.answer)
	o.takeActions(mux)
	o.Server = NewServer(t, mux)
	return o
}

func (o *office) Settings() string { return "url: " + o.URL() + "\ntoken: s3cret-token\n" }

// Remove leaves a mark that is the newest item.
func (o *office) Remove(ids ...int) {
	all := o.Items()
	o.mu.Lock()
	for _, id := range ids {
		o.gone[id] = Item{ID: id, Updated: all[len(all)-1].Updated.Add(time.Second)}
	}
	o.mu.Unlock()
	o.Shelf.Remove(ids...)
}

type entry struct {
	Item
	Gone bool
	// To and Key are those of a reply.
	To  int
	Key string
}

func (o *office) records() []entry {
	var all []entry
	for _, item := range o.Items() {
		all = append(all, entry{Item: item})
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, item := range o.gone {
		all = append(all, entry{Item: item, Gone: true})
	}
	all = append(all, o.replies...)
	slices.SortFunc(all, func(a, b entry) int { return cmp.Or(a.Updated.Compare(b.Updated), cmp.Compare(a.ID, b.ID)) })
	return all
}

const officePage = 100

func (r entry) token() string { return fmt.Sprintf("%020d.%09d", r.Updated.Unix(), r.ID) }

func (o *office) answer(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	all := o.records()
	size := officePage
	if text := q.Get("size"); text != "" {
		size, _ = strconv.Atoi(text)
	}
	if text := q.Get("page"); text != "" {
		n, _ := strconv.Atoi(text)
		all = all[min(len(all), n*size):]
	}
	since, _ := time.Parse(time.RFC3339, q.Get("since"))
	all = slices.DeleteFunc(all, func(r entry) bool { return r.Updated.Before(since) || r.token() <= q.Get("after") })
	var page struct {
		Records []entry
		Next    string
	}
	page.Records = all[:min(len(all), size)]
	if len(all) > size {
		page.Next = page.Records[size-1].token()
	}
	_ = json.NewEncoder(w).Encode(page)
}

// clerk is an adapter for an office. It keeps the contract, apart from its fault.
type clerk struct {
	fault string
	// leaked ends the goroutines that a fault leaves behind.
	leaked chan struct{}
}

func (k clerk) is(fault string) bool { return k.fault == fault }

func (k clerk) adapter() sources.Adapter {
	return sources.Adapter{Name: "clerk", Summary: "Reads an office", Settings: func() sources.Settings { return &clerkSettings{clerk: k} }}
}

type clerkSettings struct {
	clerk
	URL     string         `yaml:"url" doc:"Needed. The office's address."`
	Token   sources.Secret `yaml:"token" doc:"Needed. The key."`
	Timeout time.Duration  `yaml:"timeout" doc:"How long to wait."`
}

func (s *clerkSettings) Validate() error {
	var faults []error
	if s.URL == "" && !s.is("does not need its address") {
		faults = append(faults, &sources.SettingError{Key: "url", Problem: "missing; write the office's address"})
		if s.is("blames no setting") {
			return errors.New("no address")
		}
		if s.is("blames another setting") {
			return &sources.SettingError{Key: "token", Problem: "missing"}
		}
	}
	if s.Token.IsZero() {
		faults = append(faults, &sources.SettingError{Key: "token", Problem: "missing; write the key"})
	}
	if s.Timeout < 0 && !s.is("takes a wrong setting") {
		problem := "want more than 0s"
		if s.is("shows a secret in a setting's error") {
			problem += ", not for " + s.Token.Reveal()
		}
		faults = append(faults, &sources.SettingError{Key: "timeout", Problem: problem})
	}
	return errors.Join(faults...)
}

func (s *clerkSettings) Open(_ context.Context, env sources.Env) (sources.Source, error) {
	return &clerkSource{clerkSettings: s, env: env, client: sources.NewHTTPClient(sources.HTTPOptions{UserAgent: env.UserAgent, Timeout: s.Timeout})}, nil
}

type clerkSource struct {
	*clerkSettings
	env    sources.Env
	client *sources.HTTPClient

	mu    sync.Mutex
	first *sources.Reply
}

func (s *clerkSource) Close() error {
	s.client.Close()
	if s.is("does not close") {
		return errors.New("busy")
	}
	return nil
}

type clerkCursor struct {
	Version int       `json:"v"`
	Updated time.Time `json:"updated"`
}

const clerkLookBack = 10 * time.Minute

func (s *clerkSource) Pull(ctx context.Context, req sources.Request) iter.Seq2[sources.Batch, error] {
	return func(yield func(sources.Batch, error) bool) {
		if s.is("leaves a goroutine") {
			go func() { <-s.leaked }()
		}
		at := clerkCursor{Version: 1}
		if err := json.Unmarshal([]byte(req.Cursor), &at); req.Cursor != "" && (err != nil || at.Version != 1) {
			if s.is("skips all by a strange cursor") {
				return
			}
			if s.is("panics by a strange cursor") {
				panic("what is this?")
			}
			at = clerkCursor{Version: 1}
		}
		err := s.pages(ctx, &req, &at, yield)
		switch {
		case err == nil || errors.Is(err, errEnough), s.is("ends quietly in trouble"):
			return
		case s.is("moves the cursor in trouble"):
			at.Updated = time.Now()
			text, _ := json.Marshal(at)
			yield(sources.Batch{Cursor: string(text)}, nil)
		}
		if yield(sources.Batch{}, s.asError(err)) && s.is("goes on after an error") {
			yield(sources.Batch{}, nil)
		}
	}
}

// asError makes the error what the fault makes of it.
func (s *clerkSource) asError(err error) error {
	switch {
	case s.is("shows a secret in an error"):
		return fmt.Errorf("with %s: %w", s.Token.Reveal(), err)
	case s.is("hides the cause"):
		return errors.New("interrupted")
	case s.is("stops for any error"):
		return &sources.StopError{Err: err}
	case s.is("stops for none"):
		return errors.New(err.Error())
	case s.is("writes a long error"):
		return fmt.Errorf("%w: %s", err, strings.Repeat("x", 2000))
	}
	return err
}

var errEnough = errors.New("the caller takes no more")

// since is from where to read.
func (s *clerkSource) since(req *sources.Request, at clerkCursor) time.Time {
	from := at.Updated
	if from.After(time.Now()) && !s.is("is blinded by the future") {
		from = time.Now()
	}
	switch {
	case s.is("reads everything each time"):
		return time.Time{}
	case req.Backfill && from.IsZero():
		return req.Since
	case from.IsZero():
		return from
	case s.is("skips at a border"), s.is("skips at a border of a backfill") && req.Backfill:
		return from.Add(time.Second)
	case s.is("does not look back"), s.is("takes the end of a pull for its cursor"):
		return from
	}
	return from.Add(-clerkLookBack)
}

func (s *clerkSource) pages(ctx context.Context, req *sources.Request, at *clerkCursor, yield func(sources.Batch, error) bool) error {
	since, started, known := s.since(req, *at), at.Updated, map[string]bool{}
	q := url.Values{"since": {since.Format(time.RFC3339)}}
	if s.is("has large batches") {
		q.Set("size", "501")
	}
	for n := 0; ; n++ {
		if s.is("counts pages") {
			q.Set("page", strconv.Itoa(n))
			q.Del("after")
		}
		records, next, err := s.page(ctx, q)
		if err != nil && n > 0 && s.is("takes trouble for the end") {
			yield(sources.Batch{Cursor: fmt.Sprintf(`{"v":1,"updated":%q}`, time.Now().Format(time.RFC3339))}, nil)
			return nil
		}
		if err != nil {
			return err
		}
		batch := s.batch(records, req, at, started)
		if s.is("keeps the cursor for another batch") && len(batch.Items) > 1 {
			batch.Items = batch.Items[:len(batch.Items)-1]
		}
		for more := true; more; more = s.is("repeats a batch for ever") {
			if !yield(batch, nil) {
				return errEnough
			}
		}
		if next == "" {
			return nil
		}
		if known[next] && !s.is("pages for ever") && !s.is("counts pages") {
			return errors.New("the office repeats a page")
		}
		known[next] = true
		q.Set("after", next)
	}
}

func (s *clerkSource) page(ctx context.Context, q url.Values) ([]entry, string, error) {
	if s.is("does not stop") {
		ctx = context.WithoutCancel(ctx)
	}
	if s.is("logs a secret") {
		s.env.Logger.Debug("ask", slog.String("token", s.Token.Reveal()))
	}
	answer, err := s.client.Do(ctx, sources.HTTPRequest{URL: s.URL + "/items?" + q.Encode()})
	if err != nil {
		return nil, "", err
	}
	var page struct {
		Records []entry
		Next    string
	}
	if err := json.Unmarshal(answer.Body, &page); err != nil {
		if s.is("shows what the server sent") {
			return nil, "", fmt.Errorf("what is %s?", answer.Body[:min(len(answer.Body), 200)])
		}
		return nil, "", &sources.SettingError{Key: "url", Problem: "answered with something that is not the office's JSON"}
	}
	return page.Records, page.Next, nil
}

func (s *clerkSource) batch(records []entry, req *sources.Request, at *clerkCursor, started time.Time) sources.Batch {
	var b sources.Batch
	for _, r := range records {
		if r.Updated.After(at.Updated) {
			at.Updated = r.Updated
		}
		if s.is("logs content") {
			s.env.Logger.Debug("read", slog.String("text", r.Text))
		}
		item := s.item(r)
		switch {
		case !req.Wants(item.Interaction.CreatedTime, item.UpdatedTime) && !s.is("ignores the time of a backfill"),
			s.is("does not see edits") && r.Created.Before(started),
			r.Gone && s.is("does not tell what was removed"):
			continue
		}
		b.Items = append(b.Items, item)
	}
	if s.is("takes the end of a pull for its cursor") {
		at.Updated = time.Now().UTC()
	}
	if at.Updated.After(time.Now()) && !s.is("is blinded by the future") {
		at.Updated = time.Now().UTC()
	}
	text, _ := json.Marshal(at)
	if b.Cursor = string(text); s.is("shows a secret in a cursor") {
		b.Cursor += " " + s.Token.Reveal()
	}
	return b
}

func (s *clerkSource) item(r entry) sources.Item {
	native := strconv.Itoa(r.ID)
	if s.is("changes ids") {
		native = r.Text
	}
	if s.is("gives one id to two items") {
		native = strconv.Itoa(r.ID / 2)
	}
	item := sources.Item{
		Interaction: socialhub.Interaction{
			NetworkItemID: sources.ItemID("office", native), Message: "Hello, " + r.Text + ".", CreatedTime: r.Created,
		},
		UpdatedTime: r.Updated, Deleted: r.Gone, Own: r.To > 0 && !s.is("does not know its own reply"),
	}
	switch {
	case s.is("gives wrong ids"):
		item.Interaction.NetworkItemID = "x y"
	case s.is("has local times"):
		item.UpdatedTime = r.Updated.In(time.FixedZone("CET", 3600))
	case s.is("has wrong times"):
		item.Interaction.CreatedTime = r.Created.Add(-time.Hour)
	case s.is("shows a secret in a ref"):
		item.Ref, _ = json.Marshal(s.Token.Reveal())
	}
	return item
}
