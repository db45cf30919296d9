package imap

import (
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
func (c *session) letters(ctx context.Context, uids []goimap.UID) ([]*mail, error) {
	options := &goimap.FetchOptions{
		UID: true, InternalDate: true, BodyStructure: &goimap.FetchItemBodyStructure{Extended: true},
		BodySection: []*goimap.FetchItemBodySection{headerItem, referencesItem},
	}
	var mails []*mail
	err := c.fetch(ctx, uids, options, func(a *answer) bool {
		if a.structure == nil || a.header == nil {
			return false
		}
		header, _ := splitHeader(a.header)
		mails = append(mails, newMail(a.uid, a.arrived, header, fromServer(a.structure, nil, 0)))
		return true
	})
	slices.SortFunc(mails, func(a, b *mail) int { return cmp.Compare(a.uid, b.uid) })
	return mails, err
}

// read fetches the texts of mails and makes their messages. It returns the mails that are still there.
func (c *session) read(ctx context.Context, mails []*mail) ([]*mail, error) {
	sections := make(map[string][]*mail) // mails of which the same sections are wanted
	var order []string
	items := make(map[string][]*goimap.FetchItemBodySection)
	for _, m := range mails {
		key, wanted := c.wanted(m)
		if sections[key] == nil {
			order, items[key] = append(order, key), wanted
		}
		sections[key] = append(sections[key], m)
	}
	here := make(map[goimap.UID]bool, len(mails))
	for _, key := range order {
		if err := c.readSections(ctx, sections[key], items[key], here); err != nil {
			return nil, err
		}
	}
	return slices.DeleteFunc(mails, func(m *mail) bool { return !here[m.uid] }), nil
}

func (c *session) readSections(ctx context.Context, mails []*mail, items []*goimap.FetchItemBodySection, here map[goimap.UID]bool) error {
	byUID := make(map[goimap.UID]*mail, len(mails))
	uids := make([]goimap.UID, 0, len(mails))
	for _, m := range mails {
		byUID[m.uid], uids = m, append(uids, m.uid)
		if len(items) == 0 {
			m.read(&c.source.settings, nil)
			here[m.uid] = true
		}
	}
	if len(items) == 0 {
		return nil
	}
	return c.fetch(ctx, uids, &goimap.FetchOptions{UID: true, BodySection: items}, func(a *answer) bool {
		if len(a.bodies) < len(items) {
			return false
		}
		byUID[a.uid].read(&c.source.settings, a.bodies)
		here[a.uid] = true
		return true
	})
}

// wanted are the sections to fetch of a mail's texts.
func (c *session) wanted(m *mail) (key string, items []*goimap.FetchItemBodySection) {
	var keys []string
	for _, t := range m.content.texts {
		for _, p := range t.wanted() {
			if at := p.section.String(); !slices.Contains(keys, at) {
				keys = append(keys, at)
				items = append(items, &goimap.FetchItemBodySection{
					Part: p.section, Peek: true, Partial: &goimap.SectionPartial{Size: c.source.settings.MaxText},
				})
			}
		}
	}
	return strings.Join(keys, " "), items
}

// whole fetches the beginnings of mails and reads them here, for servers whose BODYSTRUCTURE is not understood.
func (c *session) whole(ctx context.Context, uids []goimap.UID) ([]*mail, error) {
	options := &goimap.FetchOptions{
		UID: true, InternalDate: true,
		BodySection: []*goimap.FetchItemBodySection{{Peek: true, Partial: &goimap.SectionPartial{Size: c.source.settings.MaxText}}},
	}
	var mails []*mail
	err := c.fetch(ctx, uids, options, func(a *answer) bool {
		raw, ok := a.bodies[""]
		if !ok {
			return false
		}
		mails = append(mails, readWhole(a.uid, a.arrived, raw, &c.source.settings))
		return true
	})
	slices.SortFunc(mails, func(a, b *mail) int { return cmp.Compare(a.uid, b.uid) })
	return mails, err
}

// readWhole reads a mail, or its beginning, that is here.
func readWhole(uid goimap.UID, arrived time.Time, raw []byte, s *Settings) *mail {
	header, root := parseMail(raw)
	m := newMail(uid, arrived, header, root)
	bodies := make(map[string][]byte)
	for _, t := range m.content.texts {
		for _, version := range t {
			for _, p := range version {
				p.section = section{len(bodies) + 1} // any name will do
				bodies[p.section.String()] = p.body
			}
		}
	}
	m.read(s, bodies)
	m.content.texts = nil // with what they hold
	return m
}

// errWithheld is a server that lists a mail and does not send it, or not all that was asked for.
var errWithheld = errors.New("it does not send a mail that it lists")

// fetch hands each mail's answer to take, which tells whether it is whole. A mail that does not come is asked for
// again if it is still there: another client's changes may have got in between.
func (c *session) fetch(ctx context.Context, uids []goimap.UID, options *goimap.FetchOptions, take func(*answer) bool) error {
	const tries = 3
	for range tries {
		missing := make(map[goimap.UID]bool, len(uids))
		for _, uid := range uids {
			missing[uid] = true
		}
		err := c.within(ctx, "read mails at", func(alive func()) error {
			cmd := c.client.Fetch(goimap.UIDSetNum(uids...), options)
			for message := cmd.Next(); message != nil; message = cmd.Next() {
				alive()
				a, err := c.collect(message, alive)
				if err != nil {
					_ = c.raw.Close() // or the rest would have to be read
					_ = cmd.Close()
					return err
				}
				if missing[a.uid] && take(a) {
					delete(missing, a.uid)
				}
			}
			return cmd.Close()
		})
		if err != nil || len(missing) == 0 {
			return err
		}
		uids = slices.DeleteFunc(slices.Clone(uids), func(uid goimap.UID) bool { return !missing[uid] })
		left, err := c.search(ctx, &goimap.SearchCriteria{UID: []goimap.UIDSet{goimap.UIDSetNum(uids...)}})
		if err != nil {
			return err
		}
		if uids = slices.DeleteFunc(uids, func(uid goimap.UID) bool { return !left.Contains(uid) }); len(uids) == 0 {
			return nil
		}
	}
	return fmt.Errorf("read mails at %s: %w", c.source.address, errWithheld)
}

// collect reads one mail's answer. Of a section there is no more in memory than was asked for, whatever the server sends.
func (c *session) collect(message *imapclient.FetchMessageData, alive func()) (*answer, error) {
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
			text, err := readLiteral(item.Literal, max(maxHeader, c.source.settings.MaxText), alive)
			if err != nil {
				return nil, err
			}
			if item.Section.Specifier == goimap.PartSpecifierHeader {
				a.header = append(append(a.header, bytesTrimEnd(text)...), '\n')
				continue
			}
			if a.bodies == nil {
				a.bodies = make(map[string][]byte)
			}
			a.bodies[section(item.Section.Part).String()] = text
		}
	}
	return a, nil
}

// bytesTrimEnd drops the empty line at a header's end, so that another one can follow.
func bytesTrimEnd(header []byte) []byte {
	end := len(header)
	for end > 0 && (header[end-1] == '\r' || header[end-1] == '\n') {
		end--
	}
	return header[:end]
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

// search returns the UIDs of mails.
func (c *session) search(ctx context.Context, criteria *goimap.SearchCriteria) (found goimap.UIDSet, err error) {
	err = c.within(ctx, "search mails at", func(func()) error {
		data, err := c.client.UIDSearch(criteria, nil).Wait()
		if err == nil {
			found, _ = data.All.(goimap.UIDSet)
		}
		return err
	})
	return found, err
}
