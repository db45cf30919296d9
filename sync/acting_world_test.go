package sync

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	gosync "sync"
	"testing"
	"time"

	"socialhub-sync/socialhub"
	"socialhub-sync/socialhub/sandbox"
	"socialhub-sync/sources"
	"socialhub-sync/store"
)

// network is a source on which one can act. It never forgets what was posted.
type network struct {
	shelf
	acts gosync.Mutex
	// fates are what happens to the next calls, in order; after the last one, or with a nil one, they succeed.
	fates []fate
	// posts are the replies that stand, calls is every call of an ability.
	posts []post
	calls []string
	// unnamed replies have no id of their own, show puts them on the shelf, as the next poll finds them.
	unnamed, show bool
	// roots are the RootIDs that the calls brought.
	roots map[string]string
	// now and most count the calls under way.
	now, most int
	// opened and closed count.
	opened, closed int
	found          int
	templates      []sources.TemplateReply
}

type post struct{ Key, To, Text string }

// fate is what becomes of a call: do posts the reply, which the fate may let be.
type fate func(ctx context.Context, do func()) error

var (
	notDone fate = func(context.Context, func()) error { return &sources.NotDoneError{Err: errors.New("busy")} }
	// vanished: nothing was done, but nobody says so. answerLost: it was done.
	vanished   fate = func(context.Context, func()) error { return errors.New("connection cut") }
	answerLost fate = func(_ context.Context, do func()) error { do(); return errors.New("connection cut") }
	breaksDown fate = func(context.Context, func()) error { panic("secret of a customer") }
)

func refuses(reason string) fate {
	return func(context.Context, func()) error { return &sources.RefusedError{Reason: reason} }
}

// takes is a slow call, which a context ends before it has done anything.
func takes(d time.Duration) fate {
	return func(ctx context.Context, do func()) error {
		select {
		case <-time.After(d):
			do()
			return nil
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// always lets every call have the same fate.
func always(f fate) []fate { return slices.Repeat([]fate{f}, 1000) }

func (n *network) Close() error {
	n.acts.Lock()
	defer n.acts.Unlock()
	n.closed++
	return nil
}

// call is one call of an ability.
func (n *network) call(ctx context.Context, a *sources.Action, do func()) error {
	n.acts.Lock()
	n.calls = append(n.calls, a.NetworkItemID)
	n.now++
	n.most = max(n.most, n.now)
	if n.roots == nil {
		n.roots = make(map[string]string)
	}
	n.roots[a.NetworkItemID] = a.RootID
	var f fate
	if len(n.fates) > 0 {
		f, n.fates = n.fates[0], n.fates[1:]
	}
	n.acts.Unlock()
	defer func() { n.acts.Lock(); n.now--; n.acts.Unlock() }()
	if f == nil {
		do()
		return nil
	}
	return f(ctx, do)
}

func (n *network) Reply(ctx context.Context, r *sources.Reply) (posted sources.Posted, err error) {
	text := r.Text
	for _, a := range r.Attachments {
		f, err := a.Open()
		if err != nil {
			return posted, err
		}
		content, err := io.ReadAll(f)
		if err != nil {
			return posted, err
		}
		text += fmt.Sprintf(" [%s %s %s]", a.Name, a.MimeType, content)
	}
	return n.posted(r.Key), n.call(ctx, &r.Action, func() { n.post(&r.Action, text) })
}

func (n *network) posted(key string) sources.Posted {
	if n.unnamed {
		return sources.Posted{}
	}
	return sources.Posted{NetworkItemID: "posted-" + key, URL: "https://example.com/" + key, Ref: []byte(`{"posted":true}`)}
}

// post makes a reply stand.
func (n *network) post(a *sources.Action, text string) {
	n.acts.Lock()
	defer n.acts.Unlock()
	n.posts = append(n.posts, post{a.Key, a.NetworkItemID, text})
	if n.show {
		it := reply("posted-"+a.Key, a.NetworkItemID, text)
		it.Own = true
		n.put(it)
	}
}

func (n *network) PressButton(ctx context.Context, a *sources.Action) error {
	return n.call(ctx, a, func() { n.post(a, "button") })
}

func (n *network) Delete(ctx context.Context, a *sources.Action) error {
	return n.call(ctx, a, func() { n.post(a, "delete") })
}

func (n *network) ReplyWithTemplate(ctx context.Context, r *sources.TemplateReply) (sources.Posted, error) {
	n.acts.Lock()
	n.templates = append(n.templates, *r)
	n.acts.Unlock()
	return n.posted(r.Key), n.call(ctx, &r.Action, func() { n.post(&r.Action, r.Name) })
}

// look calls f with the network's state.
func (n *network) look(f func()) {
	n.acts.Lock()
	defer n.acts.Unlock()
	f()
}

func (n *network) stands() (posts []post) {
	n.look(func() { posts = slices.Clone(n.posts) })
	return posts
}

func (n *network) called() (c int) {
	n.look(func() { c = len(n.calls) })
	return c
}

// repeating is a network on which an action may be done again: it has an effect once.
type repeating struct {
	*network
	window time.Duration
}

func (r repeating) RepeatableFor(*sources.Action) time.Duration { return r.window }

func (r repeating) Reply(ctx context.Context, in *sources.Reply) (sources.Posted, error) {
	return r.posted(in.Key), r.call(ctx, &in.Action, func() {
		if !slices.ContainsFunc(r.stands(), func(p post) bool { return p.Key == in.Key }) {
			r.post(&in.Action, in.Text)
		}
	})
}

// finding is a network that can be asked for a reply.
type finding struct{ *network }

func (f finding) FindReply(_ context.Context, r *sources.Reply, _ time.Time) (sources.Posted, bool, error) {
	f.look(func() { f.found++ })
	there := slices.ContainsFunc(f.stands(), func(p post) bool { return p.Key == r.Key })
	return f.posted(r.Key), there, nil
}

const hookSecret = "a secret that nobody knows but two of us"

// actors is a world with a webhook whose source can act.
type actors struct {
	*world
	network *network
	// patience is how long something may take.
	patience time.Duration
	mu       gosync.Mutex
	engines  []*Engine
}

// newActors is a world on SQLite for a bubble, or on a database.
func newActors(t *testing.T, dbURL string, channel sandbox.ChannelOptions, as func(*network) sources.Source) *actors {
	pipe := sandbox.NewPipe()
	options := sandbox.Options{Transport: pipe.Transport()}
	a := &actors{network: &network{}, patience: 2 * time.Hour}
	if dbURL == "" {
		a.world = newWorld(t, options, channel)
	} else {
		a.patience = time.Minute
		a.world = newWorldOn(t, dbURL, options, channel)
	}
	server := &http.Server{Handler: http.HandlerFunc(a.receive)}
	done := make(chan struct{})
	go func() { defer close(done); server.Serve(pipe) }()
	t.Cleanup(func() { server.Close(); <-done })
	var acting sources.Source = a.network
	if as != nil {
		acting = as(a.network)
	}
	a.options.Sources[0].Open = func(context.Context) (sources.Source, error) {
		a.network.look(func() { a.network.opened++ })
		return acting, nil
	}
	if err := a.engine().register(t.Context()); err != nil { // events may come before an engine runs
		t.Fatal(err)
	}
	a.subscribe()
	return a
}

// subscribe registers the webhook and what the team can do.
func (a *actors) subscribe() {
	a.t.Helper()
	secret, err := socialhub.ParseWebhookSecret(hookSecret)
	if err != nil {
		a.t.Fatal(err)
	}
	label := socialhub.Label{EN: "x", DE: "x", FR: "x"}
	m := socialhub.Manifest{
		Webhook: &socialhub.Webhook{URL: "http://127.0.0.1/webhook", Secret: secret},
		Inbox: &socialhub.Inbox{RightSidebar: []socialhub.Sidebar{}, TicketActions: []socialhub.ManifestAction{
			{Type: socialhub.ActionReply, ID: "reply", Label: label, Attachments: &socialhub.ActionFiles{}},
			{Type: socialhub.ActionButton, ID: "like", Label: label},
			{Type: socialhub.ActionDelete, ID: "delete", Label: label},
			{Type: socialhub.ActionTemplateReply, ID: "template", Label: label, Config: &socialhub.ActionConfig{
				Templates: &socialhub.TemplatesAddress{URL: "https://example.com/templates"},
			}},
		}},
	}
	if _, answer := a.options.Channels[0].Client.ChangeManifest(a.t.Context(), &m); answer.Outcome != socialhub.Done {
		a.t.Fatalf("the webhook can't be registered: %+v", answer)
	}
}

// receive is the least that a receiver must do.
func (a *actors) receive(rw http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	secret, _ := socialhub.ParseWebhookSecret(hookSecret)
	challenge, err := secret.Verify(r.Header, body, time.Now(), socialhub.MaxWebhookSkew)
	if err != nil {
		a.t.Error(err)
		return
	}
	events, err := socialhub.ParseEvents(body)
	if err != nil {
		a.t.Error(err)
		return
	}
	rw.Header().Set(socialhub.HeaderChallenge, challenge)
	if err := a.take(r.Context(), events.Actions...); err != nil {
		rw.WriteHeader(http.StatusServiceUnavailable)
	}
}

// take stores events and wakes the engines, as the receiver does.
func (a *actors) take(ctx context.Context, events ...socialhub.TicketAction) error {
	var receipt store.Receipt
	for _, e := range events {
		receipt.Actions = append(receipt.Actions, store.NewAction{
			Key: e.Key(), UUID: e.UUID, Type: string(e.Type), ActionID: e.ActionID, NetworkItemID: e.NetworkItemID,
			TicketID: e.TicketID, Payload: string(e.Payload), Time: e.Time(),
		})
	}
	if _, err := a.store.Receive(ctx, a.channel.ID, receipt); err != nil {
		return err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, e := range a.engines {
		e.WakeActions(a.channel.ID)
	}
	return nil
}

// begin runs a daemon that the webhook wakes.
func (a *actors) begin(change ...func(*Options)) (stop func() error) {
	e := a.engine(change...)
	a.mu.Lock()
	a.engines = append(a.engines, e)
	a.mu.Unlock()
	return a.daemon(e)
}

// tickets makes tickets of items by one round.
func (a *actors) tickets(items ...sources.Item) {
	a.t.Helper()
	a.network.put(items...)
	a.once()
}

// act is what a member of the team does with an item; it waits until the event was received.
func (a *actors) act(item, action, text string, change ...func(*sandbox.Act)) sandbox.Action {
	a.t.Helper()
	ticket, ok := a.box.Ticket(a.channel.ID, item)
	if !ok {
		a.t.Fatalf("there is no ticket of %s", item)
	}
	do := sandbox.Act{TicketID: ticket.ID, ActionID: action, Text: text}
	for _, c := range change {
		c(&do)
	}
	made, err := a.box.Act(a.channel.ID, do)
	if err != nil {
		a.t.Fatal(err)
	}
	a.eventually("the event is received", func() bool { return a.action(made.UUID).Taken })
	return made
}

// action is how the team sees an action.
func (a *actors) action(uuid string) sandbox.Action {
	for _, made := range a.box.Actions(a.channel.ID) {
		if made.UUID == uuid {
			return made
		}
	}
	return sandbox.Action{}
}

// keyOf is the action's key in the store.
func keyOf(a sandbox.Action) string {
	if a.FollowupID != "" {
		return a.FollowupID
	}
	return a.UUID
}

// stored is the state of an action in the store.
func (a *actors) stored(made sandbox.Action) (state store.ActionState) {
	a.t.Helper()
	db := a.sql()
	defer db.Close()
	if err := db.QueryRow("SELECT state FROM actions WHERE action_key = $1", keyOf(made)).Scan(&state); err != nil {
		a.t.Fatal(err)
	}
	return state
}

// stuck are the actions that wait for a person.
func (a *actors) stuck() (states []store.ActionState) {
	a.t.Helper()
	all, err := a.store.StuckActions(a.t.Context(), a.channel.ID, 100)
	if err != nil {
		a.t.Fatal(err)
	}
	for _, s := range all {
		states = append(states, s.State)
	}
	return states
}

// eventually waits until something is so: in fake time up to two hours, in real time up to a minute.
func (a *actors) eventually(what string, so func() bool) {
	a.t.Helper()
	for began, wait := time.Now(), 5*time.Millisecond; !so(); wait = min(2*wait, time.Second) {
		if time.Since(began) > a.patience {
			a.t.Fatalf("not so: %s", what)
		}
		time.Sleep(wait)
	}
}

// onActors runs a test on SQLite in fake time and on Postgres in real time.
func onActors(t *testing.T, as func(*network) sources.Source, f func(*testing.T, *actors)) {
	t.Run("sqlite", func(t *testing.T) {
		inBubble(t, func(t *testing.T) { f(t, newActors(t, "", sandbox.ChannelOptions{NetworkID: "us-ourselves"}, as)) })
	})
	t.Run("postgres", func(t *testing.T) {
		t.Parallel()
		f(t, newActors(t, migratedPostgres(t), sandbox.ChannelOptions{NetworkID: "us-ourselves"}, as))
	})
}

// acting runs a test on SQLite in fake time.
func acting(t *testing.T, as func(*network) sources.Source, f func(*testing.T, *actors)) {
	t.Helper()
	inBubble(t, func(t *testing.T) { f(t, newActors(t, "", sandbox.ChannelOptions{NetworkID: "us-ourselves"}, as)) })
}

func asRepeating(n *network) sources.Source { return repeating{n, sources.Always} }
func asFinding(n *network) sources.Source   { return finding{n} }
