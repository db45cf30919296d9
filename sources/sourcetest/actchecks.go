package sourcetest

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"sync"
	"time"

	"socialhub-sync/socialhub"
	"socialhub-sync/sources"
)

// actionChecks are for what a source is able to do beside Pull.
func actionChecks() []check {
	return []check{
		{"can do what it promises", canDoWhatItPromises},
		{"does what the team did", doesWhatTheTeamDid},
		{"reads its own reply as such", readsItsOwnReply},
		{"does an action once however often it is repeated", doesItOnce},
		{"tells two actions apart", tellsActionsApart},
		{"finds a reply whose answer was lost", findsItsReply},
		{"says that nothing was done only where it is so", saysWhatWasDone},
		{"refuses what can't be done", refusesWhatCantBeDone},
		{"posts a file or refuses the reply", postsAFile},
		{"stops an action with its context", stopsAnAction},
		{"acts for several at once", actsForSeveral},
	}
}

// each runs f for every ability that the suite promises and the source has, each with an item of its own.
func (a *actor) each(f func(Ability, task)) {
	for n, ability := range a.suite.Actions {
		if sources.Can(a.source, ability.Type, ability.id()) {
			f(ability, a.task(ability, n+1))
		}
	}
}

func canDoWhatItPromises(c *checker) {
	if _, ok := c.world.(Actor); !ok {
		c.Fatalf("Suite.Actions needs a World with the method Done, see sourcetest.Actor")
	}
	a := newActor(c)
	defer a.close()
	for _, ability := range c.suite.Actions {
		if !sources.Can(a.source, ability.Type, ability.id()) {
			c.Errorf("the source can't do %s %s", ability.Type, ability.id())
		}
	}
	for n := range actItems {
		if _, ok := a.items[n+1]; !ok {
			c.Errorf("item %d is not handed out", n+1)
		}
	}
}

func doesWhatTheTeamDid(c *checker) {
	a := newActor(c)
	defer a.close()
	n := 0
	a.each(func(_ Ability, t task) {
		n++
		a.must("at first", t)
		if done := a.done(t); done != 1 {
			c.Errorf("%s %s on item %d is done %d times; want once", t.Type, t.id(), t.item, done)
		}
		if all := a.deeds(); all != n {
			c.Errorf("after %d actions %d things are done: %+v", n, all, c.world.(Actor).Done())
			n = all
		}
		whole := func(d Deed) bool { return t.matches(d, t.item) && strings.Contains(d.Text, t.text) }
		if t.Type == socialhub.ActionReply && !slices.ContainsFunc(c.world.(Actor).Done(), whole) {
			c.Errorf("a reply is not posted as it was written; want %q in one of %+v", t.text, c.world.(Actor).Done())
		}
	})
}

// readsItsOwnReply wants the next poll to know a reply for what Posted said of it.
func readsItsOwnReply(c *checker) {
	if c.suite.Unseen {
		c.Log(notPromised)
		return
	}
	_, cursor := c.itemsAfter("")
	a := newActor(c)
	defer a.close()
	a.each(func(ability Ability, t task) {
		if ability.Type != socialhub.ActionReply {
			return
		}
		posted := a.must("at first", t)
		var seen []sources.Item
		for _, b := range c.batches(cursor) {
			for _, item := range b.Items {
				if item.Fault == nil && strings.Contains(item.Interaction.Message, markOf(t.number)) {
					seen = append(seen, item)
				}
			}
		}
		if len(seen) == 0 {
			c.Errorf("a poll does not hand out the reply")
			return
		}
		compareReply(c, posted, seen[len(seen)-1])
	})
}

func compareReply(c *checker, posted sources.Posted, seen sources.Item) {
	id := seen.Interaction.NetworkItemID
	switch {
	case !seen.Own:
		c.Errorf("a poll hands out the reply, but not as Own")
	case posted.NetworkItemID == "":
		c.Errorf("the reply was posted without a NetworkItemID, and a poll hands it out as %q: that makes two of it", id)
	case posted.NetworkItemID != id:
		c.Errorf("the reply was posted as %q, and a poll hands it out as %q", posted.NetworkItemID, id)
	}
	if len(posted.Ref) > 0 && len(seen.Ref) > 0 && !sameJSON(posted.Ref, seen.Ref) {
		c.Errorf("the reply was posted with the Ref %s, and a poll hands it out with %s", posted.Ref, seen.Ref)
	}
	at := seen.Interaction.CreatedTime
	if !posted.CreatedTime.IsZero() && !at.IsZero() && posted.CreatedTime.Sub(at).Abs() >= time.Second {
		c.Errorf("the reply was posted at %s, and a poll hands it out with %s", posted.CreatedTime, at)
	}
}

// doesItOnce repeats actions by a source that was opened anew, also after an answer that was lost.
func doesItOnce(c *checker) {
	first := newActor(c)
	defer first.close()
	second := first.again()
	defer second.close()
	first.each(func(_ Ability, t task) {
		switch span := first.repeatable(t); {
		case span < 0:
			c.Errorf("%s may be repeated for %s; want 0 or more", t.Type, span)
		case span == 0:
			c.Logf("nothing to check: %s can't be repeated", t.Type)
		default:
			repeat(first, second, t)
		}
	})
}

func repeat(first, second *actor, t task) {
	posted := first.must("at first", t)
	if again := second.must("repeated", t); !samePosted(posted, again) {
		first.Errorf("a repeated %s gives %+v; want what it gave at first, %+v", t.Type, again, posted)
	}
	if done := first.done(t); done != 1 {
		first.Errorf("%s is done %d times by two tries with one Key; want once", t.Type, done)
	}
	breaker, ok := first.world.(Breaker)
	if !ok || t.Type == socialhub.ActionDelete {
		return // the item is gone already
	}
	before, other := first.done(t), first.task(t.Ability, t.item+actItems/2)
	if !breaker.Break(Lost) {
		return
	}
	_, err := first.do(first.context(), other)
	breaker.Break(Fine)
	if err == nil {
		return // nothing of the world was asked
	}
	second.must("after a lost answer", other)
	if done := first.done(other); done != 1 {
		first.Errorf("%s, %d before, is done %d times by two tries of which the first one's answer was lost; want once", t.Type, before, done)
	}
}

// tellsActionsApart does two with equal content, each with its own key.
func tellsActionsApart(c *checker) {
	a := newActor(c)
	defer a.close()
	a.each(func(ability Ability, t task) {
		if !ability.isReply() {
			return
		}
		other := t
		other.key += "-b"
		first, second := a.must("at first", t), a.must("with another Key", other)
		if done := a.done(t); done != 2 {
			c.Errorf("two equal replies with Keys of their own are posted %d times", done)
		}
		if first.NetworkItemID != "" && first.NetworkItemID == second.NetworkItemID {
			c.Errorf("two replies have the NetworkItemID %q", first.NetworkItemID)
		}
	})
}

func findsItsReply(c *checker) {
	a := newActor(c)
	defer a.close()
	if _, ok := a.source.(sources.Finder); !ok {
		c.Log("nothing to check: the source is no Finder")
		return
	}
	since := time.Now().UTC()
	a.each(func(ability Ability, t task) {
		if ability.Type != socialhub.ActionReply {
			return
		}
		if ability.Files {
			t.files = []string{"what stands in the file"}
		}
		wantNotFound(a, t, since, "before it is posted")
		posted, lost := postWithoutAnswer(a, t)
		found, ok, err := a.find(t, since)
		switch {
		case err != nil || !ok:
			c.Errorf("a reply that was posted is not found (%v)", err)
		case found.NetworkItemID == "":
			c.Errorf("a reply is found without its NetworkItemID")
		case !lost && found.NetworkItemID != posted.NetworkItemID && posted.NetworkItemID != "":
			c.Errorf("the reply %q is found as %q", posted.NetworkItemID, found.NetworkItemID)
		}
		wantNotFound(a, a.task(ability, t.item), since, "of another text to the same item")
		elsewhere := t
		elsewhere.key, elsewhere.item = t.key+"-b", t.item+1
		wantNotFound(a, elsewhere, since, "to another item")
	})
}

func wantNotFound(a *actor, t task, since time.Time, which string) {
	if posted, found, err := a.find(t, since); found || err != nil {
		a.Errorf("a reply %s is found (%t, %v) as %q", which, found, err, posted.NetworkItemID)
	}
}

// postWithoutAnswer posts so that the answer is lost, if the world can do that.
func postWithoutAnswer(a *actor, t task) (posted sources.Posted, lost bool) {
	if breaker, ok := a.world.(Breaker); ok && breaker.Break(Lost) {
		posted, err := a.do(a.context(), t)
		breaker.Break(Fine)
		lost, done := err != nil, a.done(t) > 0
		if done && sources.NotDone(err) {
			a.Errorf("an answer was lost, and the error says that nothing was done: %v", err)
		}
		if done {
			return posted, lost
		}
	}
	return a.must("at first", t), false
}

// actTroubles are troubles in which an action may or may not be done.
var actTroubles = append(slices.Clone(troubles), Lost)

// saysWhatWasDone acts in each trouble and holds the error against what the world says.
func saysWhatWasDone(c *checker) {
	breaker, ok := c.world.(Breaker)
	if !ok {
		c.Log(notAble)
		return
	}
	a := newActor(c)
	defer a.close()
	for _, trouble := range actTroubles {
		actIn(a, breaker, trouble)
	}
	if c.suite.Timeout != "" {
		s := c.openWith(c.settings + "\n" + c.suite.Timeout + "\n")
		defer s.close()
		actIn(&actor{checker: c, session: s, items: a.items}, breaker, Hanging)
	}
}

// actIn looks at the world before and after the trouble only: in it nobody may get an answer.
func actIn(a *actor, breaker Breaker, trouble Trouble) {
	a.each(func(ability Ability, t task) {
		if ability.Type == socialhub.ActionDelete {
			return // the item may be gone by the trouble before
		}
		before := a.done(t)
		if !breaker.Break(trouble) {
			breaker.Break(Fine)
			return
		}
		_, err := a.do(a.context(), t)
		breaker.Break(Fine)
		done := a.done(t) - before
		if problem := wrongOutcome(trouble, err, done); problem != "" {
			a.Errorf("%s: %s: the error %v: %s", trouble, t.Type, err, problem)
		}
	})
}

// wrongOutcome tells what is wrong with an error of an action that was done so often; empty if nothing.
func wrongOutcome(trouble Trouble, err error, done int) string {
	_, refused := errors.AsType[*sources.RefusedError](err)
	_, stop := errors.AsType[*sources.StopError](err)
	switch {
	case done > 1:
		return fmt.Sprintf("it is done %d times by one call", done)
	case err == nil && done == 0:
		return "it is not done"
	case err != nil && done == 1 && sources.NotDone(err):
		return "it says that nothing was done, but it was"
	case trouble == Unauthorized:
		return wantStop(err)
	case trouble == Throttled:
		return wantRetryAfter(err)
	case refused || stop:
		return "nobody would try again, but the trouble may heal by itself"
	}
	return ""
}

// refusesWhatCantBeDone acts on an item that is gone.
func refusesWhatCantBeDone(c *checker) {
	a := newActor(c)
	defer a.close()
	pressesNoUnknownButton(a)
	if _, ok := c.world.(Remover); !ok {
		c.Log(notAble)
		return
	}
	a.each(func(ability Ability, t task) {
		c.remove(t.item)
		before := a.deeds()
		_, err := a.do(c.context(), t)
		_, refused := errors.AsType[*sources.RefusedError](err)
		switch {
		case ability.Type == socialhub.ActionDelete && err != nil:
			c.Errorf("to delete an item that is gone is an error: %v", err)
		case ability.Type != socialhub.ActionDelete && !refused:
			c.Errorf("%s on an item that is gone: %v; want a *sources.RefusedError", t.Type, err)
		case ability.Type != socialhub.ActionDelete && a.deeds() != before:
			c.Errorf("%s on an item that is gone is done", t.Type)
		}
	})
}

func pressesNoUnknownButton(a *actor) {
	const unknown = "sourcetest-no-such-button"
	if !sources.Can(a.source, socialhub.ActionButton, unknown) {
		return
	}
	t := a.task(Ability{Type: socialhub.ActionButton, ID: unknown}, actItems)
	if _, err := a.do(a.context(), t); err == nil || !sources.NotDone(err) {
		a.Errorf("a button that there is not is pressed: %v; want an error that says nothing was done", err)
	}
}

// postsAFile wants that no attachment is left out in silence.
func postsAFile(c *checker) {
	a := newActor(c)
	defer a.close()
	a.each(func(ability Ability, t task) {
		if ability.Type != socialhub.ActionReply {
			return
		}
		content := "what stands in the file\x00\xff"
		t.files = []string{content}
		_, err := a.do(c.context(), t)
		_, refused := errors.AsType[*sources.RefusedError](err)
		has := func(d Deed) bool { return t.matches(d, t.item) && slices.Equal(d.Files, t.files) }
		switch {
		case ability.Files && (err != nil || !slices.ContainsFunc(c.world.(Actor).Done(), has)):
			c.Errorf("a reply is not posted with its file (%v)", err)
		case !ability.Files && !refused:
			c.Errorf("a reply with a file, which the suite does not promise: %v; want a *sources.RefusedError", err)
		case !ability.Files && a.deeds() > 0:
			c.Errorf("a reply that is refused is posted")
		}
	})
}

// stopsAnAction cancels before an action and while the world does not answer.
func stopsAnAction(c *checker) {
	reason := errors.New("sourcetest: shutting down")
	ctx, cancel := context.WithCancelCause(c.context())
	cancel(reason)
	a := newActor(c)
	a.each(func(_ Ability, t task) {
		if _, err := a.do(ctx, t); !errors.Is(err, reason) {
			c.Errorf("%s with a context that is done: got the error %v; want its cause", t.Type, err)
		}
	})
	if a.deeds() > 0 {
		c.Errorf("actions are done with a context that is done")
	}
	a.close()
	if breaker, ok := c.world.(Breaker); ok {
		stopsAWaitingAction(c, breaker, a.items, reason)
	}
}

func stopsAWaitingAction(c *checker, breaker Breaker, items map[int]sources.Item, reason error) {
	a := &actor{checker: c, session: c.open(), items: items}
	defer func() {
		if !a.closed {
			a.close()
		}
	}()
	a.each(func(_ Ability, t task) {
		before := a.done(t)
		if a.closed || !breaker.Break(Hanging) {
			return
		}
		defer breaker.Break(Fine)
		ctx, cancel := context.WithCancelCause(c.context())
		defer cancel(nil)
		if w, ok := c.world.(Watcher); ok {
			w.OnRequest(func(int) { cancel(reason) })
			defer w.OnRequest(nil)
		} else {
			defer time.AfterFunc(100*time.Millisecond, func() { cancel(reason) }).Stop()
		}
		done := make(chan error, 1)
		go func() {
			_, err := a.do(ctx, t)
			done <- err
		}()
		select {
		case err := <-done:
			breaker.Break(Fine)
			if problem := wrongOutcome(Hanging, err, a.done(t)-before); problem != "" {
				c.Errorf("%s, cancelled while the world does not answer: the error %v: %s", t.Type, err, problem)
			}
		case <-time.After(c.patience):
			a.closed = true // Close must not be called while an action is under way
			c.Errorf("%s does not stop with its context while the world does not answer", t.Type)
		}
	})
}

// actsForSeveral acts on several items from as many goroutines.
func actsForSeveral(c *checker) {
	a := newActor(c)
	defer a.close()
	a.each(func(ability Ability, _ task) {
		var tasks []task
		for item := range actItems {
			if (ability.Type == socialhub.ActionDelete) == (item%2 == 1) { // what is deleted nobody else acts on
				tasks = append(tasks, a.task(ability, item+1))
			}
		}
		ids := make([]string, len(tasks))
		before := make([]int, len(tasks))
		var all sync.WaitGroup
		for n, t := range tasks {
			before[n] = a.done(t)
		}
		for n, t := range tasks {
			all.Go(func() { ids[n] = a.must("beside others", t).NetworkItemID })
		}
		all.Wait()
		for n, t := range tasks {
			if done := a.done(t) - before[n]; done != 1 && ability.Type != socialhub.ActionDelete {
				c.Errorf("%s is done %d times beside others; want once", t.Type, done)
			}
		}
		ids = slices.DeleteFunc(ids, func(id string) bool { return id == "" })
		slices.Sort(ids)
		if len(slices.Compact(slices.Clone(ids))) != len(ids) {
			c.Errorf("several replies have one NetworkItemID")
		}
	})
}

// samePosted compares what two tries of one action gave.
func samePosted(a, b sources.Posted) bool {
	return a.NetworkItemID == b.NetworkItemID && a.URL == b.URL && a.CreatedTime.Equal(b.CreatedTime) && sameJSON(a.Ref, b.Ref)
}

func sameJSON(a, b []byte) bool {
	x, errX := decodeJSON(a)
	y, errY := decodeJSON(b)
	return errX == nil && errY == nil && reflect.DeepEqual(x, y)
}
