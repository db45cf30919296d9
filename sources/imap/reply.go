package imap

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"

	goimap "github.com/emersion/go-imap/v2"

	"socialhub-sync/socialhub"
	"socialhub-sync/sources"
	"socialhub-sync/sources/imap/mail"
)

var (
	_ sources.Replier = (*source)(nil)
	_ sources.Finder  = (*source)(nil)
	_ sources.Chooser = (*source)(nil)
)

// Can implements [sources.Chooser]. Replies need a server that sends them.
func (s *source) Can(t socialhub.ActionType, _ string) bool {
	return t == socialhub.ActionReply && s.smtp != nil
}

// Reply implements [sources.Replier]. SMTP knows no keys: the same mail sent twice comes twice. So before it is sent a copy
// lies in the sent folder, as a draft, and it stops being a draft once it was sent.
func (s *source) Reply(ctx context.Context, r *sources.Reply) (sources.Posted, error) {
	if s.smtp == nil {
		return sources.Posted{}, &sources.RefusedError{Reason: "this source can't send mails: its settings name no server for that"}
	}
	box, err := s.connect(ctx, false)
	if err != nil {
		return sources.Posted{}, notSent(err)
	}
	defer box.close()
	answered, err := box.answered(ctx, &r.Action)
	if err != nil {
		return sources.Posted{}, notSent(err)
	}
	to, err := s.receiver(answered)
	if err != nil {
		return sources.Posted{}, err
	}
	now := time.Now()
	text, err := s.smtp.compose(r, to, answered, now)
	if err != nil {
		return sources.Posted{}, err
	}
	id := s.smtp.messageID(r.Key)
	if s.smtp.SentFolder != "" {
		sent, err := box.keepDraft(ctx, id, text)
		if err != nil {
			return sources.Posted{}, notSent(err)
		}
		if sent { // by a try before this one
			return s.posted(id, time.Time{}), nil
		}
	}
	err = s.smtp.send(ctx, to.Address, text)
	if s.smtp.SentFolder != "" && (err == nil || sources.NotDone(err)) {
		s.settle(ctx, box, id, err == nil)
	}
	if err != nil {
		return sources.Posted{}, err
	}
	return s.posted(id, now.UTC()), nil
}

// settle takes the mark off the copy of what was sent, or removes that of what was not. What was sent stays sent if that
// fails.
func (s *source) settle(ctx context.Context, box *session, id string, sent bool) {
	// A ctx that ends now is no reason to leave a reply that was sent as a draft.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), s.settings.Timeout)
	defer cancel()
	err := box.settle(ctx, id, sent)
	if err != nil { // the connection may be gone, after so long
		err = s.settleAnew(ctx, id, sent)
	}
	if err != nil {
		s.logger.Warn("the copy of a reply in the sent folder keeps its mark as a draft", slog.Bool("sent", sent), slog.String("error", err.Error()))
	}
}

func (s *source) settleAnew(ctx context.Context, id string, sent bool) error {
	box, err := s.connect(ctx, false)
	if err != nil {
		return err
	}
	defer box.close()
	if err := box.openSent(ctx, true); err != nil {
		return err
	}
	return box.settle(ctx, id, sent)
}

// posted is a reply of ours, with the id that Pull would give it.
func (s *source) posted(id string, at time.Time) sources.Posted {
	return sources.Posted{NetworkItemID: sources.ItemID(s.prefix, id), CreatedTime: at, Ref: ref{ID: id}.note()}
}

// notSent says of an error of the mailbox that nothing was sent.
func notSent(err error) error {
	if sources.NotDone(err) {
		return err
	}
	return &sources.NotDoneError{Err: err}
}

// FindReply implements [sources.Finder]. A copy in the sent folder that is no draft was sent; where there is none, not even a
// draft, nothing was. What is a draft still may have been sent or not. Without a sent folder nothing but a copy
// in the mailbox tells.
func (s *source) FindReply(ctx context.Context, r *sources.Reply, _ time.Time) (sources.Posted, bool, error) {
	if s.smtp == nil {
		return sources.Posted{}, false, errors.New("look for a reply: the settings name no server for sending")
	}
	box, err := s.connect(ctx, false)
	if err != nil {
		return sources.Posted{}, false, err
	}
	defer box.close()
	if s.smtp.SentFolder != "" {
		if err := box.openSent(ctx, false); err != nil {
			return sources.Posted{}, false, err
		}
	}
	id := s.smtp.messageID(r.Key)
	sent, drafts, err := box.copies(ctx, id)
	switch {
	case err != nil:
		return sources.Posted{}, false, err
	case len(sent) > 0:
		return s.posted(id, time.Time{}), true, nil
	case len(drafts) > 0:
		return sources.Posted{}, false, errors.New("look for a reply: it is a draft, whose sending was interrupted")
	case s.smtp.SentFolder == "":
		return sources.Posted{}, false, errors.New("look for a reply: there is no sent folder to look in")
	}
	return sources.Posted{}, false, nil
}

// answered is the mail that is answered.
type answered struct {
	*letter
	mail.Answerable
}

// receiver is who gets the answer: whom the mail wants to get it, or who sent it, or if that were us who got it.
func (s *source) receiver(a *answered) (mail.Person, error) {
	for _, p := range []mail.Person{a.ReplyTo, a.From, a.To} {
		if p.Address != "" && !s.own.hold(p.Address) {
			return p, nil
		}
	}
	return mail.Person{}, &sources.RefusedError{Reason: "the mail has no address to answer to"}
}

// answered finds the mail that an action is about: by its number, or if that is another one's now by its Message-ID, in the
// mailbox and in the sent folder.
func (c *session) answered(ctx context.Context, a *sources.Action) (*answered, error) {
	s := c.source
	var note ref
	_ = json.Unmarshal(a.Ref, &note) // the item's id may tell as well
	if note.UID != 0 && note.UIDValidity == c.box.UIDValidity {
		if found, err := c.whichIs(ctx, a.NetworkItemID, []goimap.UID{note.UID}); found != nil || err != nil {
			return found, err
		}
	}
	id := note.ID
	if native, ours := strings.CutPrefix(a.NetworkItemID, s.prefix+"-"); id == "" && ours && sources.ItemID(s.prefix, native) == a.NetworkItemID {
		id = native
	}
	if mail.ProperID(id) {
		if found, err := c.byID(ctx, a.NetworkItemID, id); found != nil || err != nil {
			return found, err
		}
		if s.smtp.SentFolder != "" && s.smtp.SentFolder != s.settings.Mailbox {
			if err := c.openSent(ctx, false); err != nil {
				return nil, err
			}
			if found, err := c.byID(ctx, a.NetworkItemID, id); found != nil || err != nil {
				return found, err
			}
		}
	}
	return nil, &sources.RefusedError{Reason: "the mail is not in the mailbox any more, or is from before replies were possible"}
}

// maxSameID is how many mails with one Message-ID are looked at.
const maxSameID = 5

func (c *session) byID(ctx context.Context, item, id string) (*answered, error) {
	found, err := c.search(ctx, withID(id))
	if err != nil {
		return nil, err
	}
	return c.whichIs(ctx, item, slices.Collect(first(found, maxSameID)))
}

// whichIs reads mails and returns the one that is the item; nil if none is.
func (c *session) whichIs(ctx context.Context, item string, uids []goimap.UID) (*answered, error) {
	if len(uids) == 0 {
		return nil, nil
	}
	heads := map[*mail.Mail]mail.Answerable{}
	options := &goimap.FetchOptions{
		UID: true, InternalDate: true,
		BodySection: []*goimap.FetchItemBodySection{{Peek: true, Partial: &goimap.SectionPartial{Size: c.source.settings.MaxText}}},
	}
	letters, err := c.fetchLetters(ctx, uids, options, func(a *answer) *mail.Mail {
		raw, ok := a.bodies[""]
		if !ok {
			return nil
		}
		m := mail.Parse(raw, c.source.settings.reading())
		heads[m] = mail.AnswerableOf(raw)
		return m
	})
	if err != nil {
		return nil, fmt.Errorf("read the mail that is answered: %w", err)
	}
	for _, m := range letters {
		if !m.refused && sources.ItemID(c.source.prefix, m.Key(m.arrived)) == item {
			return &answered{m, heads[m.Mail]}, nil
		}
	}
	return nil, nil
}
