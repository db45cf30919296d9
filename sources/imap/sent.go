package imap

import (
	"context"
	"iter"
	"slices"
	"strings"

	goimap "github.com/emersion/go-imap/v2"
)

// withID are the mails with a Message-ID, which has no brackets here.
func withID(id string) *goimap.SearchCriteria {
	return &goimap.SearchCriteria{Header: []goimap.SearchCriteriaHeaderField{{Key: "Message-ID", Value: "<" + id + ">"}}}
}

// first are the first UIDs of a set.
func first(set goimap.UIDSet, most int) iter.Seq[goimap.UID] {
	return func(yield func(goimap.UID) bool) {
		n := 0
		for uid := range after(0, set) {
			if n++; n > most || !yield(uid) {
				return
			}
		}
	}
}

// openSent opens the sent folder.
func (c *session) openSent(ctx context.Context, write bool) error {
	return c.within(ctx, "open the sent folder at", func(func()) error {
		return c.open("smtp.sent_folder", c.source.smtp.SentFolder, write)
	})
}

// copies are the mails with a Message-ID in the mailbox that is open.
func (c *session) copies(ctx context.Context, id string) (sent, drafts []goimap.UID, err error) {
	of := func(criteria *goimap.SearchCriteria) ([]goimap.UID, error) {
		criteria.NotFlag = append(criteria.NotFlag, goimap.FlagDeleted)
		found, err := c.search(ctx, criteria)
		return slices.Collect(first(found, maxFound)), err
	}
	is, isNot := withID(id), withID(id)
	is.Flag, isNot.NotFlag = []goimap.Flag{goimap.FlagDraft}, []goimap.Flag{goimap.FlagDraft}
	if sent, err = of(isNot); err != nil {
		return nil, nil, err
	}
	drafts, err = of(is)
	return sent, drafts, err
}

// keepDraft puts a mail that is about to be sent into the sent folder, as a draft, in place of those that were left there.
// It tells if the mail is there as one that was sent.
func (c *session) keepDraft(ctx context.Context, id string, text []byte) (wasSent bool, err error) {
	if err := c.openSent(ctx, true); err != nil {
		return false, err
	}
	if err := c.keepsDrafts(); err != nil {
		return false, err
	}
	sent, drafts, err := c.copies(ctx, id)
	if err != nil || len(sent) > 0 {
		return len(sent) > 0, err
	}
	if err := c.remove(ctx, drafts); err != nil {
		return false, err
	}
	return false, c.within(ctx, "keep a copy of a reply at", func(alive func()) error {
		cmd := c.client.Append(c.source.smtp.SentFolder, int64(len(text)), &goimap.AppendOptions{
			Flags: []goimap.Flag{goimap.FlagDraft, goimap.FlagSeen},
		})
		var failed error
		for piece := range slices.Chunk(text, 16<<10) {
			if _, failed = cmd.Write(piece); failed != nil {
				break
			}
			alive()
		}
		if failed != nil {
			_ = c.raw.Close() // or the rest would have to be written
			_ = cmd.Close()
			return failed
		}
		if err := cmd.Close(); err != nil {
			return err
		}
		_, err := cmd.Wait()
		return err
	})
}

// keepsDrafts wants the mark of drafts to stay in the folder that is open: else a copy would look sent before it is. A
// server that says nothing keeps all marks (RFC 3501, 6.3.1).
func (c *session) keepsDrafts() error {
	kept := c.box.PermanentFlags
	isDraft := func(f goimap.Flag) bool { return strings.EqualFold(string(f), string(goimap.FlagDraft)) }
	if len(kept) == 0 || slices.ContainsFunc(kept, isDraft) {
		return nil
	}
	return stop("smtp.sent_folder", "%s keeps no marks of drafts in %q; leave it out", c.source.address, c.source.smtp.SentFolder)
}

// settle makes the draft of a reply a mail that was sent, or removes it.
func (c *session) settle(ctx context.Context, id string, wasSent bool) error {
	_, drafts, err := c.copies(ctx, id)
	if err != nil {
		return err
	}
	if !wasSent {
		return c.remove(ctx, drafts)
	}
	return c.mark(ctx, drafts, goimap.StoreFlagsDel, goimap.FlagDraft)
}

// mark changes a flag of mails.
func (c *session) mark(ctx context.Context, uids []goimap.UID, op goimap.StoreFlagsOp, flag goimap.Flag) error {
	if len(uids) == 0 {
		return nil
	}
	return c.within(ctx, "mark the copy of a reply at", func(func()) error {
		return c.client.Store(goimap.UIDSetNum(uids...), &goimap.StoreFlags{Op: op, Silent: true, Flags: []goimap.Flag{flag}}, nil).Close()
	})
}

// remove deletes mails. A server that can't expunge single ones keeps them, marked as deleted.
func (c *session) remove(ctx context.Context, uids []goimap.UID) error {
	if err := c.mark(ctx, uids, goimap.StoreFlagsAdd, goimap.FlagDeleted); err != nil || len(uids) == 0 {
		return err
	}
	if !c.client.Caps().Has(goimap.CapUIDPlus) {
		return nil
	}
	return c.within(ctx, "remove the copy of a reply at", func(func()) error {
		return c.client.UIDExpunge(goimap.UIDSetNum(uids...)).Close()
	})
}
