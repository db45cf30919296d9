package sourcetest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"regexp"
	"runtime/debug"
	"strconv"
	"strings"
	"time"

	"socialhub-sync/socialhub"
	"socialhub-sync/sources"
)

// actItems is how many items a world has in which is acted: a check acts on each once, apart from some.
const actItems = 12

// task is one action of the team.
type task struct {
	Ability
	number int // of the task, which is in its text
	item   int // [Item.ID]
	key    string
	text   string
	files  []string
}

// actor acts: a source that is open, and the items as a pull showed them.
type actor struct {
	*checker
	*session
	items map[int]sources.Item
}

// newActor pulls everything and opens the source once more to act.
func newActor(c *checker) *actor {
	c.Helper()
	items, _ := c.itemsAfter("")
	return &actor{checker: c, session: c.open(), items: items}
}

// again opens the source anew, as after a crash.
func (a *actor) again() *actor {
	return &actor{checker: a.checker, session: a.open(), items: a.items}
}

// itemsAfter pulls from a cursor and returns the items of the world that came, and the cursor behind them.
func (c *checker) itemsAfter(cursor string) (map[int]sources.Item, string) {
	c.Helper()
	items := map[int]sources.Item{}
	batches := c.batches(cursor)
	for _, b := range batches {
		for _, item := range b.Items {
			if found := textPattern.FindStringSubmatch(item.Interaction.Message); found != nil {
				n, _ := strconv.Atoi(found[1])
				items[n] = item
			}
		}
	}
	return items, after(cursor, batches)
}

func (c *checker) batches(cursor string) []sources.Batch {
	c.Helper()
	s := c.open()
	defer s.close()
	batches, err := s.pull(c.context(), sources.Request{Cursor: cursor}, nil)
	if err != nil {
		c.Fatalf("pull: %v", err)
	}
	return batches
}

// task makes an action of the team that there was not before.
func (a *actor) task(ability Ability, item int) task {
	a.checker.mu.Lock()
	defer a.checker.mu.Unlock()
	a.tasks++
	return task{Ability: ability, number: a.tasks, item: item, key: "sourcetest-" + strconv.Itoa(a.tasks), text: replyText(a.tasks)}
}

// done counts how often a task was done.
func (a *actor) done(t task) int {
	n := 0
	for _, d := range a.world.(Actor).Done() {
		if !t.matches(d, t.item) || t.Type == socialhub.ActionReply && !strings.Contains(d.Text, markOf(t.number)) {
			continue
		}
		n++
	}
	return n
}

// deeds is how much was done in all.
func (a *actor) deeds() int { return len(a.world.(Actor).Done()) }

// action is what the engine would hand over.
func (a *actor) action(t task) sources.Action {
	item := a.items[t.item]
	action := sources.Action{
		Key: t.key, Type: t.Type, ID: t.id(), NetworkItemID: item.Interaction.NetworkItemID, Ref: item.Ref,
		Time: time.Now().UTC().Truncate(time.Millisecond),
	}
	if root := item.Interaction.Root; root != nil {
		action.RootID = root.RootID
		for _, other := range a.items {
			if other.Interaction.NetworkItemID == root.RootID {
				action.RootRef = other.Ref
			}
		}
	}
	return action
}

func (a *actor) reply(t task) *sources.Reply {
	r := &sources.Reply{Action: a.action(t), Text: t.text}
	for n, content := range t.files {
		r.Attachments = append(r.Attachments, sources.Attachment{
			Name: fmt.Sprintf("note %d.txt", n+1), MimeType: "text/plain", Size: int64(len(content)),
			Open: func() (io.ReadCloser, error) { return io.NopCloser(strings.NewReader(content)), nil },
		})
	}
	return r
}

// do does a task and looks at what comes of it. A panic of the adapter is an error and a fault.
func (a *actor) do(ctx context.Context, t task) (posted sources.Posted, err error) {
	err = a.watch(ctx, func(ctx context.Context) (err error) {
		posted, err = a.perform(ctx, t)
		return err
	})
	if err == nil {
		a.checkPosted(posted)
	}
	return posted, err
}

// must does a task that has to succeed.
func (a *actor) must(when string, t task) sources.Posted {
	a.checker.Helper()
	posted, err := a.do(a.context(), t)
	if err != nil {
		a.Errorf("%s: %s %s: %v", when, t.Type, t.id(), err)
	}
	return posted
}

func (a *actor) perform(ctx context.Context, t task) (posted sources.Posted, err error) {
	action := a.action(t)
	switch t.Type {
	case socialhub.ActionReply:
		return a.source.(sources.Replier).Reply(ctx, a.reply(t))
	case socialhub.ActionTemplateReply:
		return a.source.(sources.TemplateReplier).ReplyWithTemplate(ctx, &sources.TemplateReply{
			Action: action, TemplateID: t.TemplateID, Name: t.TemplateID, Language: t.Language, Variables: t.Variables,
		})
	case socialhub.ActionButton:
		return posted, a.source.(sources.ButtonPresser).PressButton(ctx, &action)
	}
	return posted, a.source.(sources.Deleter).Delete(ctx, &action)
}

// find asks for a task's reply, without its files, as the engine does.
func (a *actor) find(t task, since time.Time) (posted sources.Posted, found bool, err error) {
	t.files = nil
	err = a.watch(a.context(), func(ctx context.Context) (err error) {
		posted, found, err = a.source.(sources.Finder).FindReply(ctx, a.reply(t), since)
		return err
	})
	if found && err == nil {
		a.checkPosted(posted)
	}
	return posted, found, err
}

// repeatable is for how long the adapter lets a task be repeated.
func (a *actor) repeatable(t task) time.Duration {
	s, ok := a.source.(sources.Repeater)
	if !ok {
		return 0
	}
	action := a.action(t)
	return s.RepeatableFor(&action)
}

// watch runs a call of an ability, whose error must be fit for people.
func (s *session) watch(ctx context.Context, call func(context.Context) error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panicked: %v", p)
			s.t.Errorf("an action panicked: %v\n%s", p, debug.Stack())
		}
	}()
	s.labelled(ctx, func(ctx context.Context) { err = call(ctx) })
	if err == nil {
		return nil
	}
	s.checkError(err)
	if shown := replyPattern.FindString(err.Error()); shown != "" {
		s.once("an error shows what the team wrote: %q", shown)
	}
	if refused, ok := errors.AsType[*sources.RefusedError](err); ok && strings.TrimSpace(refused.Reason) == "" {
		s.once("a RefusedError does not tell the team why")
	}
	return err
}

// oneLine is what an address has to be.
var oneLine = regexp.MustCompile(`^https?://\S+$`)

func (s *session) checkPosted(p sources.Posted) {
	if p.NetworkItemID != "" && !socialhub.ValidItemID(p.NetworkItemID) {
		s.once("the networkItemId %q of a reply is not valid", p.NetworkItemID)
	}
	if p.URL != "" && !oneLine.MatchString(p.URL) {
		s.once("the URL of a reply is no address: %q", p.URL)
	}
	if !p.CreatedTime.IsZero() && p.CreatedTime.Location() != time.UTC {
		s.once("CreatedTime of a reply is not in UTC: %s", p.CreatedTime)
	}
	if len(p.Ref) > 0 && !json.Valid(p.Ref) {
		s.once("the Ref of a reply is not valid JSON")
	}
	s.checkText("what a reply was posted as", p.NetworkItemID+" "+p.URL+" "+string(p.Ref))
}

// decodeJSON reads a Ref; none is null.
func decodeJSON(text []byte) (v any, err error) {
	if len(text) == 0 {
		return nil, nil
	}
	return v, json.Unmarshal(text, &v)
}
