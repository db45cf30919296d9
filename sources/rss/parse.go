package rss

import (
	"bytes"
	"context"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/mmcdole/gofeed"
	"github.com/mmcdole/gofeed/atom"
	jsonfeed "github.com/mmcdole/gofeed/json"
	rssfeed "github.com/mmcdole/gofeed/rss"

	"socialhub-sync/sources"
)

// entry is one entry of a feed, with what gofeed's common form leaves out.
type entry struct {
	*gofeed.Item
	base   *url.URL // what relative addresses are relative to
	body   body
	link   string // the entry's own address
	shared string // the address that the entry is about
	author person
	files  []*gofeed.Enclosure // further attachments

	plainTitle bool // the title is no HTML, whatever it looks like
}

// body is an entry's text and how to read it.
type body struct {
	text string
	kind kind
}

type kind int

const (
	guess kind = iota // HTML if it looks like it, else text with entities
	markup
	plain
	mostlyPlain // plain by its own word, which is often wrong: HTML if it looks like it
)

// person is an entry's author.
type person struct{ name, email, uri, avatar string }

// parse reads a feed. Errors continue a sentence that begins with the feed's address; once ctx is done
// they wrap its cause.
func parse(ctx context.Context, answer *sources.HTTPAnswer) ([]entry, error) {
	if len(bytes.TrimSpace(answer.Body)) == 0 {
		return nil, errors.New("answered with nothing in it")
	}
	text, err := toUTF8(answer.Body, answer.Header.Get("Content-Type"))
	if err != nil {
		return nil, err
	}
	in := sources.ContextReader(ctx, bytes.NewReader(text))
	switch gofeed.DetectFeedType(bytes.NewReader(text)) {
	case gofeed.FeedTypeRSS:
		if err := checkXML(ctx, text); err != nil {
			return nil, err
		}
		return parseRSS(in, answer.URL)
	case gofeed.FeedTypeAtom:
		if err := checkXML(ctx, text); err != nil {
			return nil, err
		}
		return parseAtom(in, answer.URL)
	case gofeed.FeedTypeJSON:
		return parseJSON(in, answer.URL)
	}
	if looksLikePage(text) {
		return nil, errors.New("answered with an HTML page instead of a feed: a login page? Check the address and the credentials")
	}
	return nil, errors.New("answered with something that is not RSS, Atom or JSON Feed; check the address")
}

func looksLikePage(text []byte) bool {
	start := bytes.ToLower(bytes.TrimSpace(text[:min(len(text), 1024)]))
	return bytes.Contains(start, []byte("<!doctype html")) || bytes.Contains(start, []byte("<html"))
}

func notValid(err error) error {
	return fmt.Errorf("answered with a feed that can't be read: %w", err)
}

func parseRSS(in io.Reader, at *url.URL) ([]entry, error) {
	feed, err := new(rssfeed.Parser).Parse(in)
	if err != nil {
		return nil, notValid(err)
	}
	common, err := (&gofeed.DefaultRSSTranslator{DisableContentImageScan: true}).Translate(feed)
	if err != nil {
		return nil, notValid(err)
	}
	entries := commonEntries(common, at)
	for i := range entries {
		e := &entries[i]
		if guid := feed.Items[i].GUID; e.link == "" && guid != nil && guid.IsPermalink != "false" {
			e.link = sources.ResolveURL(nil, guid.Value)
		}
	}
	return entries, nil
}

func parseAtom(in io.Reader, at *url.URL) ([]entry, error) {
	feed, err := new(atom.Parser).Parse(in)
	if err != nil {
		return nil, notValid(err)
	}
	common, err := new(gofeed.DefaultAtomTranslator).Translate(feed)
	if err != nil {
		return nil, notValid(err)
	}
	entries := commonEntries(common, at)
	for i := range entries {
		e, original := &entries[i], feed.Entries[i]
		authors := original.Authors
		if len(authors) == 0 { // RFC 4287: the feed's authors are its entries'
			authors = feed.Authors
		}
		if len(authors) > 0 {
			e.author = person{name: authors[0].Name, email: authors[0].Email, uri: authors[0].URI}
		}
		if c := original.Content; c != nil {
			e.atomContent(c)
		}
	}
	return entries, nil
}

// atomContent follows RFC 4287, 4.1.3: the type says how to read the content, or that it is no text at all.
func (e *entry) atomContent(c *atom.Content) {
	if c.Src != "" {
		if !strings.Contains(c.Type, "html") {
			e.files = append(e.files, &gofeed.Enclosure{URL: c.Src, Type: c.Type})
		}
		return
	}
	switch kind := strings.ToLower(c.Type); {
	case strings.Contains(kind, "html"):
		e.body = body{c.Value, markup}
	case kind == "", strings.HasPrefix(kind, "text"):
		e.body = body{c.Value, mostlyPlain}
	default:
		e.body = body{e.Description, guess}
	}
}

func parseJSON(in io.Reader, at *url.URL) ([]entry, error) {
	feed, err := new(jsonfeed.Parser).Parse(in)
	if err != nil {
		return nil, notValid(err)
	}
	if !strings.Contains(feed.Version, "jsonfeed.org/") {
		return nil, errors.New("answered with JSON that is not a JSON Feed; check the address")
	}
	feed.Items = slices.DeleteFunc(feed.Items, func(i *jsonfeed.Item) bool { return i == nil })
	for _, authors := range jsonAuthors(feed) {
		*authors = slices.DeleteFunc(*authors, func(a *jsonfeed.Author) bool { return a == nil })
	}
	common, err := new(gofeed.DefaultJSONTranslator).Translate(feed)
	if err != nil {
		return nil, notValid(err)
	}
	entries := commonEntries(common, at)
	for i := range entries {
		e, original := &entries[i], feed.Items[i]
		e.plainTitle = true
		switch {
		case original.ContentHTML != "":
			e.body = body{original.ContentHTML, markup}
		case original.ContentText != "":
			e.body = body{original.ContentText, plain}
		default:
			e.body = body{original.Summary, plain}
		}
		e.shared = sources.ResolveURL(e.base, original.ExternalURL)
		if a := firstAuthor(original.Authors, original.Author, feed.Authors, feed.Author); a != nil {
			e.author = person{name: a.Name, uri: a.URL, avatar: a.Avatar}
		}
	}
	return entries, nil
}

// jsonAuthors are all the lists of authors in a feed, which the translator wants without null.
func jsonAuthors(feed *jsonfeed.Feed) []*[]*jsonfeed.Author {
	lists := []*[]*jsonfeed.Author{&feed.Authors}
	for _, item := range feed.Items {
		lists = append(lists, &item.Authors)
	}
	return lists
}

// firstAuthor follows JSON Feed 1.1: the feed's authors are those of an item that has none.
func firstAuthor(own []*jsonfeed.Author, ownOld *jsonfeed.Author, feeds []*jsonfeed.Author, feedsOld *jsonfeed.Author) *jsonfeed.Author {
	switch {
	case len(own) > 0:
		return own[0]
	case ownOld != nil:
		return ownOld
	case len(feeds) > 0:
		return feeds[0]
	}
	return feedsOld
}

// commonEntries returns what all formats share. Entry i is the i-th item of the feed.
func commonEntries(feed *gofeed.Feed, at *url.URL) []entry {
	base := at
	if site, err := url.Parse(feed.Link); err == nil && sources.ResolveURL(nil, feed.Link) != "" {
		base = site
	}
	entries := make([]entry, len(feed.Items))
	for i, item := range feed.Items {
		e := entry{Item: item, base: base, body: body{item.Content, guess}}
		if item.Content == "" {
			e.body.text = item.Description
		}
		if item.Link != "" {
			e.link = sources.ResolveURL(base, item.Link)
		}
		if item.Author != nil {
			e.author = person{name: item.Author.Name, email: item.Author.Email}
		}
		entries[i] = e
	}
	return entries
}

// oldestFirst orders entries by their date, entries of one date against the feed's order, which is newest first by
// custom. A feed in which a date is missing is just turned round.
func oldestFirst(entries []entry) {
	slices.Reverse(entries)
	for _, e := range entries {
		if e.PublishedParsed == nil {
			return
		}
	}
	slices.SortStableFunc(entries, func(a, b entry) int { return a.PublishedParsed.Compare(*b.PublishedParsed) })
}

// utc is a date as it is sent; zero if it is missing, not understood, or no year of four digits.
func utc(t *time.Time) time.Time {
	if t == nil {
		return time.Time{}
	}
	if u := t.UTC(); u.Year() >= 1 && u.Year() <= 9999 {
		return u
	}
	return time.Time{}
}

// maxXMLDepth is the deepest nesting of a feed; gofeed's parser calls itself for each level.
const maxXMLDepth = 256

// checkXML tells whether gofeed can read a feed without overflowing the stack. It sees the elements as gofeed does.
func checkXML(ctx context.Context, text []byte) error {
	d := xml.NewDecoder(sources.ContextReader(ctx, bytes.NewReader(text)))
	d.Strict = false
	d.CharsetReader = func(_ string, in io.Reader) (io.Reader, error) { return in, nil }
	depth := 0
	for {
		token, err := d.Token()
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if err != nil {
			return nil // the end, or what gofeed will complain about
		}
		switch token.(type) {
		case xml.StartElement:
			depth++
		case xml.EndElement:
			depth--
		}
		if depth > maxXMLDepth {
			return errors.New("answered with a feed whose elements are nested too deep")
		}
	}
}
