package imap

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"strings"
	"time"

	goimap "github.com/emersion/go-imap/v2"

	"socialhub-sync/sources"
)

const (
	// window is how many mails are asked for at a time, wholeWindow how many of those that are read whole.
	window      = 250
	wholeWindow = 50
	// mailBytes is about what a mail is in a batch beside its text, maxTextBytes the most that its text can be.
	mailBytes    = 500
	maxTextBytes = 30 << 10
)

// Pull implements [sources.Source]. Mails come in the order of their UIDs.
func (s *source) Pull(ctx context.Context, req sources.Request) iter.Seq2[sources.Batch, error] {
	return func(yield func(sources.Batch, error) bool) {
		p := &pull{source: s, req: &req, yield: func(b sources.Batch) bool { return yield(b, nil) }}
		err := p.run(ctx)
		if p.session != nil {
			p.session.close()
		}
		if err != nil && !errors.Is(err, errEnough) {
			yield(sources.Batch{}, err)
		}
	}
}

// errEnough ends a pull of which nobody wants more.
var errEnough = errors.New("enough")

// pull is one pull under way.
type pull struct {
	source  *source
	req     *sources.Request
	yield   func(sources.Batch) bool
	session *session
	at      position
	whole   bool // mails are read whole, because the server's words about them are not understood
}

func (p *pull) run(ctx context.Context) error {
	marks := p.source.settings.MarkSeen && !p.req.Backfill
	if err := p.connect(ctx, marks); err != nil {
		return err
	}
	p.at = p.source.position(p.req.Cursor, p.session.box)
	if marks && p.at.Seen < p.at.UID {
		if err := p.session.markSeen(ctx, p.at.Seen+1, p.at.UID); err != nil {
			return err
		}
		p.at.Seen = p.at.UID
		if !p.yield(sources.Batch{Cursor: p.at.String()}) {
			return errEnough
		}
	}
	if next := p.session.box.UIDNext; next != 0 && next <= p.at.UID+1 {
		return nil
	}
	found, err := p.session.find(ctx, p.criteria(), p.at.UID+1, 0)
	if err != nil {
		return err
	}
	var uids []goimap.UID
	for uid := range after(p.at.UID, found) {
		if uids = append(uids, uid); len(uids) == window {
			if err := p.read(ctx, uids); err != nil {
				return err
			}
			uids = nil
		}
	}
	if len(uids) == 0 {
		return nil
	}
	return p.read(ctx, uids)
}

func (p *pull) connect(ctx context.Context, write bool) (err error) {
	p.session, err = p.source.connect(ctx, write)
	return err
}

// criteria are the mails that are wanted of those after the cursor: all, for a backfill those that were sent in or came in its days. Servers compare
// dates without zones, so a day more on either side is asked for; [sources.Request.Wants] is exact.
func (p *pull) criteria() *goimap.SearchCriteria {
	c := &goimap.SearchCriteria{}
	if !p.req.Backfill {
		return c
	}
	const day = 24 * time.Hour
	var came, sent goimap.SearchCriteria
	if since := p.req.Since; !since.IsZero() {
		came.Since = since.UTC().Add(-day)
		sent.SentSince = came.Since
	}
	if until := p.req.Until; !until.IsZero() {
		came.Before = until.UTC().Add(2 * day) // a day is wanted before, not until, its next
		sent.SentBefore = came.Before
	}
	if !p.req.Since.IsZero() || !p.req.Until.IsZero() {
		c.Or = [][2]goimap.SearchCriteria{{came, sent}}
	}
	return c
}

// after are the UIDs of a sorted set that are above the last one. (A server's "to the end" has the last mail in it always.)
func after(last goimap.UID, set goimap.UIDSet) iter.Seq[goimap.UID] {
	return func(yield func(goimap.UID) bool) {
		last := last
		for _, r := range set {
			for uid := max(r.Start, last+1); uid <= r.Stop && uid > last; uid++ {
				if !yield(uid) {
					return
				}
				last = uid
			}
		}
	}
}

// read hands out the mails with these UIDs, in one batch or several.
func (p *pull) read(ctx context.Context, uids []goimap.UID) error {
	if !p.whole {
		mails, err := p.session.letters(ctx, uids)
		if _, garbled := errors.AsType[garbledError](err); !garbled && !errors.Is(err, errEndless) {
			if err != nil {
				return err
			}
			return p.hand(ctx, mails, uids[len(uids)-1])
		}
		if err := p.again(ctx); err != nil {
			return err
		}
	}
	for len(uids) > 0 {
		some := uids[:min(len(uids), wholeWindow)]
		uids = uids[len(some):]
		mails, err := p.session.whole(ctx, some)
		if err == nil {
			err = p.hand(ctx, mails, some[len(some)-1])
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// again connects anew, to read mails whole.
func (p *pull) again(ctx context.Context) error {
	p.source.logger.Warn("server describes mails in a way that is not understood, they are read whole")
	before := p.session.box.UIDValidity
	p.session.close()
	p.whole = true
	if err := p.connect(ctx, false); err != nil {
		return err
	}
	if p.session.box.UIDValidity != before {
		return fmt.Errorf("read mails at %s: the mailbox was replaced meanwhile", p.source.address)
	}
	return nil
}

// hand reads the texts of mails and yields them; last is the UID up to which all is read then.
func (p *pull) hand(ctx context.Context, mails []*letter, last goimap.UID) error {
	for {
		some := mails[:p.fitting(mails)]
		mails = mails[len(some):]
		p.at.UID = last
		if len(mails) > 0 {
			p.at.UID = some[len(some)-1].uid
		}
		if !p.whole {
			var err error
			if some, err = p.session.read(ctx, some); err != nil {
				return err
			}
		}
		if !p.yield(sources.Batch{Items: p.items(some), Cursor: p.at.String()}) {
			return errEnough
		}
		if len(mails) == 0 {
			return nil
		}
	}
}

// fitting is how many of the mails make one batch.
func (p *pull) fitting(mails []*letter) int {
	size := int64(0)
	for i, m := range mails {
		text := int64(len(m.Text))
		for _, part := range m.Wanted() {
			text += part.Size
		}
		if size += mailBytes + min(text, maxTextBytes); size > sources.BatchBytes && i > 0 {
			return i
		}
	}
	return len(mails)
}

func (p *pull) items(mails []*letter) []sources.Item {
	var items []sources.Item
	for _, m := range mails {
		if m.refused {
			items = append(items, sources.Item{Fault: &sources.Fault{
				Place:  fmt.Sprintf("mail with UID %d (UIDVALIDITY %d)", m.uid, p.at.UIDValidity),
				Reason: "the server lists it and does not send it, or not its text; look at it in a mail program; when it can be read, run a backfill",
			}})
			continue
		}
		if item := m.item(p.source.prefix, p.source.own); p.req.Wants(item.Interaction.CreatedTime, m.arrived) {
			item.Ref = m.ref(p.at.UIDValidity)
			items = append(items, item)
		}
	}
	return items
}

// markSeen marks mails as read.
func (c *session) markSeen(ctx context.Context, from, to goimap.UID) error {
	unseen, err := c.find(ctx, &goimap.SearchCriteria{NotFlag: []goimap.Flag{goimap.FlagSeen}}, from, to)
	if err != nil {
		return err
	}
	var uids []goimap.UID
	mark := func() error {
		err := c.within(ctx, "mark mails as read at", func(func()) error {
			flags := &goimap.StoreFlags{Op: goimap.StoreFlagsAdd, Silent: true, Flags: []goimap.Flag{goimap.FlagSeen}}
			err := c.client.Store(goimap.UIDSetNum(uids...), flags, nil).Close()
			if refused, ok := errors.AsType[*goimap.Error](err); ok {
				return &sources.SettingError{Key: "mark_seen", Problem: fmt.Sprintf("%s does not mark mails as read: it answered %s", c.source.address, c.said(refused))}
			}
			return err
		})
		uids = nil
		return err
	}
	for uid := range after(from-1, unseen) {
		if uids = append(uids, uid); len(uids) == window {
			if err := mark(); err != nil {
				return err
			}
		}
	}
	if len(uids) == 0 {
		return nil
	}
	return mark()
}

const cursorVersion = 1

// position is what is stored.
type position struct {
	Version int `json:"v"`
	// Box is a hash of server, user and mailbox, to which the numbers belong.
	Box         string     `json:"box"`
	UIDValidity uint32     `json:"uidvalidity"`
	UID         goimap.UID `json:"uid"`
	// Seen is up to where mails need no mark any more. A batch that was yielded may not be stored yet; the cursor of
	// the next request tells that it is.
	Seen goimap.UID `json:"seen,omitempty"`
	// marks tells that Seen counts; else all that is read needs no mark.
	marks bool
}

func (p position) String() string {
	if !p.marks {
		p.Seen = p.UID
	}
	text, err := json.Marshal(p)
	if err != nil { // texts and numbers: can't be
		return ""
	}
	return string(text)
}

// position returns where to go on: at the start if the stored cursor is of another mailbox, or the server numbered the
// mails anew. Mails that were read before keep their ids, so that costs nothing but the reading.
func (s *source) position(text string, box *goimap.SelectData) position {
	start := position{Version: cursorVersion, Box: s.boxHash(), UIDValidity: box.UIDValidity, marks: s.settings.MarkSeen}
	if text == "" {
		return start
	}
	var stored position
	switch err := json.Unmarshal([]byte(text), &stored); {
	case err != nil || stored.Version != cursorVersion:
		s.logger.Warn("cursor is not understood, the whole mailbox is read again")
		return start
	case stored.Box != start.Box:
		return start
	case stored.UIDValidity != box.UIDValidity:
		s.logger.Info("server numbered the mails anew, the whole mailbox is read again")
		return start
	case box.UIDNext != 0 && box.UIDNext <= stored.UID: // a backup that kept its UIDVALIDITY: numbers come again
		s.logger.Warn("server gives numbers of mails again, the whole mailbox is read again")
		return start
	}
	start.UID, start.Seen = stored.UID, min(stored.Seen, stored.UID)
	return start
}

func (s *source) boxHash() string {
	sum := sha256.Sum256([]byte(strings.Join([]string{s.address, s.settings.Username, s.settings.Mailbox}, "\x00")))
	return hex.EncodeToString(sum[:8])
}
