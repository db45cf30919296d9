package imap

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	goimap "github.com/emersion/go-imap/v2"
	"github.com/emersion/go-imap/v2/imapclient"

	"socialhub-sync/sources/imap/mail"
)

// Bytes of a header that are read.
const (
	maxHeader     = 16 << 10
	maxReferences = 4 << 10 // the first one counts
)

var (
	headerItem = &goimap.FetchItemBodySection{
		Specifier: goimap.PartSpecifierHeader, Peek: true, Partial: &goimap.SectionPartial{Size: maxHeader},
		HeaderFields: []string{"Message-ID", "In-Reply-To", "From", "Sender", "Date", "Subject"},
	}
	referencesItem = &goimap.FetchItemBodySection{
		Specifier: goimap.PartSpecifierHeader, Peek: true, Partial: &goimap.SectionPartial{Size: maxReferences},
		HeaderFields: []string{"References"},
	}
)

// answer is what the server sent of one mail.
type answer struct {
	uid       goimap.UID
	arrived   time.Time
	structure goimap.BodyStructure
	header    []byte            // all header sections, one after the other
	bodies    map[string][]byte // the others, by section
}

// letters fetches headers and structure of mails. Mails that are gone are left out.
func (c *session) letters(ctx context.Context, uids []goimap.UID) ([]*letter, error) {
	options := &goimap.FetchOptions{
		UID: true, InternalDate: true, BodyStructure: &goimap.FetchItemBodyStructure{Extended: true},
		BodySection: []*goimap.FetchItemBodySection{headerItem, referencesItem},
	}
	return c.fetchLetters(ctx, uids, options, func(a *answer) *mail.Mail {
		if a.structure == nil || a.header == nil {
			return nil
		}
		return mail.New(a.header, structure(a.structure, nil, 0))
	})
}

// whole fetches the beginnings of mails and reads them here, for servers whose BODYSTRUCTURE is not understood.
func (c *session) whole(ctx context.Context, uids []goimap.UID) ([]*letter, error) {
	options := &goimap.FetchOptions{
		UID: true, InternalDate: true,
		BodySection: []*goimap.FetchItemBodySection{{Peek: true, Partial: &goimap.SectionPartial{Size: c.source.settings.MaxText}}},
	}
	return c.fetchLetters(ctx, uids, options, func(a *answer) *mail.Mail {
		raw, ok := a.bodies[""]
		if !ok {
			return nil
		}
		return mail.Parse(raw, c.source.settings.reading())
	})
}

// fetchLetters fetches mails, of which read makes what it can; nil if the answer is not whole.
func (c *session) fetchLetters(ctx context.Context, uids []goimap.UID, options *goimap.FetchOptions, read func(*answer) *mail.Mail) ([]*letter, error) {
	var letters []*letter
	result, err := c.fetch(ctx, uids, options, func(a *answer) bool {
		m := read(a)
		if m != nil {
			letters = append(letters, &letter{Mail: m, uid: a.uid, arrived: a.arrived.UTC()})
		}
		return m != nil
	})
	if err == nil {
		err = result.trouble()
	}
	for _, uid := range result.withheld {
		letters = append(letters, &letter{Mail: &mail.Mail{}, uid: uid, refused: true})
	}
	slices.SortFunc(letters, func(a, b *letter) int { return cmp.Compare(a.uid, b.uid) })
	return letters, err
}

// read fetches the texts of mails. It returns the mails that are still there.
func (c *session) read(ctx context.Context, letters []*letter) ([]*letter, error) {
	gone := make(map[goimap.UID]bool)
	var all result
	for {
		groups := make(map[string][]*letter) // mails of which the same sections are wanted
		var order []string
		for _, m := range letters {
			if key := wantedSections(m); key != "" && !m.refused && !gone[m.uid] {
				if groups[key] == nil {
					order = append(order, key)
				}
				groups[key] = append(groups[key], m)
			}
		}
		if len(order) == 0 {
			return slices.DeleteFunc(letters, func(m *letter) bool { return gone[m.uid] }), all.trouble()
		}
		for _, key := range order {
			got, err := c.readSections(ctx, groups[key], gone)
			if err != nil {
				return nil, err
			}
			all.add(got)
		}
	}
}

// readSections fetches what is wanted of mails that want the same, and notes which are gone.
func (c *session) readSections(ctx context.Context, letters []*letter, gone map[goimap.UID]bool) (result, error) {
	var items []*goimap.FetchItemBodySection
	for _, p := range letters[0].Wanted() {
		items = append(items, &goimap.FetchItemBodySection{
			Part: p.Section, Peek: true, Partial: &goimap.SectionPartial{Size: c.source.settings.MaxText},
		})
	}
	byUID := make(map[goimap.UID]*letter, len(letters))
	uids := make([]goimap.UID, 0, len(letters))
	for _, m := range letters {
		byUID[m.uid], uids = m, append(uids, m.uid)
		gone[m.uid] = true
	}
	got, err := c.fetch(ctx, uids, &goimap.FetchOptions{UID: true, BodySection: items}, func(a *answer) bool {
		if len(a.bodies) < len(items) {
			return false
		}
		m := byUID[a.uid]
		for _, p := range m.Wanted() {
			p.Body = a.bodies[sectionName(p.Section)]
		}
		m.Read(c.source.settings.reading())
		delete(gone, a.uid)
		return true
	})
	for _, uid := range got.withheld {
		byUID[uid].refused = true
		delete(gone, uid)
	}
	return got, err
}

// wantedSections names the parts that are wanted of a mail.
func wantedSections(m *letter) string {
	var names []string
	for _, p := range m.Wanted() {
		names = append(names, sectionName(p.Section))
	}
	return strings.Join(names, " ")
}

// errWithheld is a server that lists a mail and does not send it, or not all that was asked for.
var errWithheld = errors.New("it does not send a mail that it lists")

// result is what came of a fetch.
type result struct {
	came     int
	withheld []goimap.UID // are there, and do not come
	why      error
}

func (r *result) add(other result) {
	r.came += other.came
	r.withheld = append(r.withheld, other.withheld...)
	r.why = cmp.Or(r.why, other.why)
}

// trouble is the error of a server that sends no mail at all. One that sends others has lost, or can't read, those that
// it withholds: they must not hold up the rest.
func (r *result) trouble() error {
	if r.came > 0 || len(r.withheld) == 0 {
		return nil
	}
	return r.why
}

// fetch hands each mail's answer to take, which tells whether it is whole. A mail that does not come is asked for
// again if it is still there, the last time by itself: another client's changes may have got in between, or another
// mail may be what the server refuses.
func (c *session) fetch(ctx context.Context, uids []goimap.UID, options *goimap.FetchOptions, take func(*answer) bool) (r result, err error) {
	const tries = 3
	all := len(uids)
	for try := 1; ; try++ {
		size := len(uids)
		if try == tries {
			size = 1
		}
		r.why = fmt.Errorf("read mails at %s: %w", c.source.address, errWithheld)
		var missing []goimap.UID
		for some := range slices.Chunk(uids, size) {
			left, refusal, err := c.ask(ctx, some, options, take)
			if err != nil {
				return r, err
			}
			missing, r.why = append(missing, left...), cmp.Or(refusal, r.why)
		}
		if r.came = all - len(missing); len(missing) == 0 {
			return r, nil
		}
		if uids, err = c.listed(ctx, missing); err != nil {
			return r, err
		}
		all -= len(missing) - len(uids)
		if len(uids) == 0 || try == tries {
			r.withheld = uids
			return r, nil
		}
	}
}

// ask fetches mails once. It returns those that did not come, and the server's refusal if it has one.
func (c *session) ask(ctx context.Context, uids []goimap.UID, options *goimap.FetchOptions, take func(*answer) bool) (missing []goimap.UID, refusal, err error) {
	came := make(map[goimap.UID]bool, len(uids))
	err = c.within(ctx, "read mails at", func(alive func()) error {
		cmd := c.client.Fetch(goimap.UIDSetNum(uids...), options)
		for message := cmd.Next(); message != nil; message = cmd.Next() {
			alive()
			a, err := c.collect(message, len(options.BodySection), alive)
			if err != nil {
				_ = c.raw.Close() // or the rest would have to be read
				_ = cmd.Close()
				return err
			}
			if slices.Contains(uids, a.uid) && !came[a.uid] {
				came[a.uid] = take(a)
			}
		}
		err := cmd.Close()
		if no, ok := errors.AsType[*goimap.Error](err); ok && no.Type == goimap.StatusResponseTypeNo {
			refusal = c.explain(ctx, "read mails at", err)
			return nil
		}
		return err
	})
	return slices.DeleteFunc(slices.Clone(uids), func(uid goimap.UID) bool { return came[uid] }), refusal, err
}

// listed returns those of some mails that are still there.
func (c *session) listed(ctx context.Context, uids []goimap.UID) ([]goimap.UID, error) {
	found, err := c.search(ctx, &goimap.SearchCriteria{UID: []goimap.UIDSet{goimap.UIDSetNum(uids...)}})
	return slices.DeleteFunc(uids, func(uid goimap.UID) bool { return !found.Contains(uid) }), err
}

// collect reads one mail's answer. Of a section there is no more in memory than was asked for, whatever the server sends.
// There are at most as many sections.
func (c *session) collect(message *imapclient.FetchMessageData, sections int, alive func()) (*answer, error) {
	a := &answer{}
	for item := message.Next(); item != nil; item = message.Next() {
		switch item := item.(type) {
		case imapclient.FetchItemDataUID:
			a.uid = item.UID
		case imapclient.FetchItemDataInternalDate:
			a.arrived = item.Time
		case imapclient.FetchItemDataBodyStructure:
			a.structure = item.BodyStructure
		case imapclient.FetchItemDataBodySection:
			if sections--; sections < 0 {
				return nil, errTooMuch
			}
			text, err := readLiteral(item.Literal, max(maxHeader, c.source.settings.MaxText), alive)
			if err != nil {
				return nil, err
			}
			if item.Section.Specifier == goimap.PartSpecifierHeader {
				a.header = append(append(a.header, bytes.TrimRight(text, "\r\n")...), '\n')
				continue
			}
			if a.bodies == nil {
				a.bodies = make(map[string][]byte)
			}
			a.bodies[sectionName(item.Section.Part)] = text
		}
	}
	return a, nil
}

// errTooMuch is a server that does not mind how much was asked for.
var errTooMuch = errors.New("it sends more of a mail than it was asked for")

func readLiteral(literal goimap.LiteralReader, limit int64, alive func()) ([]byte, error) {
	if literal == nil {
		return nil, nil
	}
	if literal.Size() > limit {
		return nil, errTooMuch
	}
	return io.ReadAll(&liveReader{literal, alive})
}

// liveReader calls alive whenever something came.
type liveReader struct {
	in    io.Reader
	alive func()
}

func (r *liveReader) Read(p []byte) (int, error) {
	n, err := r.in.Read(p)
	if n > 0 {
		r.alive()
	}
	return n, err
}

// maxFound is how many mails the answer to one search may name, so that it fits into maxUnread.
const maxFound = 2000

// find returns the mails with UIDs from first to last (0: to the end) that fulfil the criteria, in order. If they may be
// many the mailbox is searched in pieces, the last one first: when mails are deleted meanwhile the others move towards
// the beginning, where they are found then.
func (c *session) find(ctx context.Context, criteria *goimap.SearchCriteria, first, last goimap.UID) (goimap.UIDSet, error) {
	criteria.UID = []goimap.UIDSet{{{Start: first, Stop: last}}}
	end := c.box.UIDNext
	if last != 0 {
		end = last + 1
	}
	if c.box.NumMessages <= maxFound || end >= first && end-first <= maxFound && end != 0 {
		return c.search(ctx, criteria)
	}
	var found goimap.UIDSet
	for to := c.box.NumMessages; to > 0; to -= min(to, maxFound) {
		criteria.SeqNum = []goimap.SeqSet{{{Start: to - min(to, maxFound) + 1, Stop: to}}}
		some, err := c.search(ctx, criteria)
		if err != nil {
			return nil, err
		}
		found = append(found, some...)
	}
	sortRanges(found)
	return found, nil
}

// search returns the UIDs of mails, in order.
func (c *session) search(ctx context.Context, criteria *goimap.SearchCriteria) (found goimap.UIDSet, err error) {
	err = c.within(ctx, "search mails at", func(func()) error {
		data, err := c.client.UIDSearch(criteria, nil).Wait()
		if err == nil {
			found, _ = data.All.(goimap.UIDSet)
		}
		return err
	})
	sortRanges(found)
	return found, err
}

func sortRanges(set goimap.UIDSet) {
	slices.SortFunc(set, func(a, b goimap.UIDRange) int { return cmp.Compare(a.Start, b.Start) })
}
