package cli

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"socialhub-sync/app"
	"socialhub-sync/app/config"
	"socialhub-sync/socialhub"
	"socialhub-sync/sources"
	"socialhub-sync/sources/jsonl"
	"socialhub-sync/store"
)

// checkTimeout bounds one check.
const checkTimeout = time.Minute

// checkCommand looks at everything that the daemon would use and changes nothing.
type checkCommand struct{}

func (checkCommand) Run(e *env) error {
	c, err := e.config()
	if err != nil {
		return err
	}
	t := newTable(e.Out, "CHECK", "RESULT")
	failed := false
	note := func(what, good string, err error) {
		if err != nil {
			failed, good = true, "FAILED: "+err.Error()
		}
		t.row(what, good)
	}
	note("config "+c.File, fmt.Sprintf("%s, %s", plural(len(c.Channels), "channel"), plural(len(c.Sources), "source")), nil)
	good, err := e.checkDatabase(c)
	note("database", good, err)
	for _, ch := range c.Channels {
		good, err := e.checkChannel(c, &ch)
		note("channel "+ch.Name, good, err)
		if len(ch.Actions) > 0 {
			good, err := e.checkActions(c, &ch)
			note("actions of "+ch.Name, good, err)
		}
	}
	found := make(map[string][]sources.Item)
	for _, src := range c.Sources {
		good, items, err := e.checkSource(c, &src)
		note("source "+src.Name, good, err)
		found[src.Name] = items
	}
	t.flush()
	for _, src := range c.Sources {
		e.showItems(src.Name, found[src.Name])
	}
	if failed {
		return errSaid
	}
	return nil
}

func (e *env) checkDatabase(c *config.Config) (string, error) {
	if mustExist(c) != nil {
		return "not there yet, the first run makes it", nil
	}
	ctx, cancel := context.WithTimeout(e.ctx, checkTimeout)
	defer cancel()
	s, err := store.OpenReadOnly(ctx, c.Database.Reveal())
	if err != nil {
		return "", err
	}
	defer s.Close()
	switch err := s.CheckSchema(ctx); {
	case errors.Is(err, store.ErrOlder):
		return s.Engine() + ", reachable; the next start brings its schema up to date", nil
	case err != nil:
		return "", err
	}
	return s.Engine() + ", reachable and up to date", nil
}

func (e *env) checkChannel(c *config.Config, ch *config.Channel) (string, error) {
	ctx, cancel := context.WithTimeout(e.ctx, checkTimeout)
	defer cancel()
	client, err := app.NewClient(c, ch)
	if err != nil {
		return "", err
	}
	defer client.Close()
	channel, a := client.Channel(ctx)
	switch a.Outcome {
	case socialhub.Done:
		own := "no networkId: our own posts are not sent"
		if channel.NetworkID != "" {
			own = "networkId " + channel.NetworkID
		}
		return fmt.Sprintf("token accepted for %q, %s", channel.Name, own), nil
	case socialhub.Unauthorized:
		return "", fmt.Errorf("SocialHub refuses the access token; copy the present one from the channel's settings: %s", a.Reason)
	case socialhub.Forbidden:
		return "", fmt.Errorf("the channel is deactivated or the token lacks permission: %s", a.Reason)
	case socialhub.RateLimited:
		return "token not checked: rate limited, try again in " + short(a.RetryAfter), nil
	default:
		return "", fmt.Errorf("SocialHub at %s: %s", c.APIURL, a.Reason)
	}
}

// checkBatches is how many batches are read until one has items.
const checkBatches = 5

// checkSource reads the first batch, as the first poll would, and stores nothing.
func (e *env) checkSource(c *config.Config, src *config.Source) (good string, items []sources.Item, err error) {
	if s, ok := src.Settings.(*jsonl.Settings); ok && s.Path == "-" {
		return "not checked: standard input can be read only once, by the run", nil, nil
	}
	ctx, cancel := context.WithTimeout(e.ctx, checkTimeout)
	defer cancel()
	opened, err := app.OpenSource(ctx, c, src, e.log)
	if err != nil {
		return "", nil, err
	}
	defer opened.Close()
	batches := 0
	for batch, err := range opened.Pull(ctx, sources.Request{}) {
		if err != nil {
			return "", nil, err
		}
		if batches++; len(batch.Items) > 0 {
			return fmt.Sprintf("readable, %s in the first batch", plural(len(batch.Items), "item")), batch.Items, unreadable(batch.Items)
		}
		if batches == checkBatches {
			return fmt.Sprintf("readable, no items in the first %d batches", batches), nil, nil
		}
	}
	return "readable, no items yet", nil, nil
}

// checkShown is how many items of a source are shown.
const checkShown = 3

// showItems prints what would become of the first items of a source.
func (e *env) showItems(source string, items []sources.Item) {
	items = slices.DeleteFunc(slices.Clone(items), func(it sources.Item) bool { return it.Fault != nil })
	if len(items) == 0 {
		return
	}
	fmt.Fprintf(e.Out, "\nfirst items of %s:\n", source)
	t := table{newTabs(e.Out)}
	for _, it := range items[:min(len(items), checkShown)] {
		i := &it.Interaction
		created, by := "-", "-"
		if !i.CreatedTime.IsZero() {
			created = i.CreatedTime.UTC().Format("2006-01-02 15:04")
		}
		if i.Interactor != nil {
			by = i.Interactor.Name
		}
		t.row("  "+i.NetworkItemID, created, oneLine(by), describeItem(&it))
	}
	t.flush()
}

// describeItem is the beginning of an item's text and what else it has.
func describeItem(it *sources.Item) string {
	i, parts := &it.Interaction, []string(nil)
	if text := []rune(oneLine(i.Message)); len(text) > 60 {
		parts = append(parts, fmt.Sprintf("%q", string(text[:59])+"…"))
	} else if len(text) > 0 {
		parts = append(parts, fmt.Sprintf("%q", string(text)))
	}
	if i.Rating != nil {
		parts = append(parts, fmt.Sprintf("rated %g of %g", i.Rating.Value, i.Rating.Scale))
	}
	if n := len(i.Pictures); n > 0 {
		parts = append(parts, plural(n, "picture"))
	}
	if n := len(i.Attachments); n > 0 {
		parts = append(parts, plural(n, "attachment"))
	}
	if i.Root != nil {
		parts = append(parts, "below "+i.Root.RootID)
	}
	if it.Own {
		parts = append(parts, "our own")
	}
	if it.Deleted {
		parts = append(parts, "deleted")
	}
	return strings.Join(parts, ", ")
}

// unreadable names the first item that can't be read, and says how many there are.
func unreadable(items []sources.Item) error {
	var first *sources.Fault
	n := 0
	for _, it := range items {
		if it.Fault == nil {
			continue
		}
		if n++; first == nil {
			first = it.Fault
		}
	}
	if first == nil {
		return nil
	}
	return fmt.Errorf("%d of the first %d items can't be read, the first at %s: %s", n, len(items), first.Place, first.Reason)
}
