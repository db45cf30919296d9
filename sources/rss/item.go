package rss

import (
	"cmp"
	"html"
	"net/url"
	"path"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	ext "github.com/mmcdole/gofeed/extensions"
	nethtml "golang.org/x/net/html"
	"golang.org/x/net/html/atom"

	"socialhub-sync/socialhub"
	"socialhub-sync/sources"
)

// maxPictures bounds the pictures of one entry.
const maxPictures = 10

// item returns the entry as an item; not ok if there is nothing in it.
func (e *entry) item(prefix string) (item sources.Item, ok bool) {
	title, text := e.title(), e.body.readable()
	if text == "" {
		text = body{e.mediaDescription(), guess}.readable()
	}
	native := cmp.Or(e.GUID, e.Link)
	if native == "" {
		if title == "" && text == "" {
			return item, false
		}
		native = "\x00" + cmp.Or(title, text) + "\x00" + cmp.Or(e.Published, e.Updated)
	}
	i := socialhub.Interaction{
		NetworkItemID: sources.ItemID(prefix, native),
		Message:       message(title, text),
		Pictures:      e.pictures(),
		Attachments:   e.attachments(),
		Link:          e.shared,
		Rating:        e.rating(),
		CreatedTime:   utc(e.PublishedParsed),
		URL:           e.link,
		Interactor:    e.author.interactor(prefix),
	}
	if i.Message == "" && i.Link == "" && i.Rating == nil && len(i.Pictures)+len(i.Attachments) == 0 {
		i.Message = i.URL // SocialHub takes no ticket without content
	}
	return sources.Item{Interaction: i, UpdatedTime: utc(e.UpdatedParsed)}, true
}

func (e *entry) title() string {
	b := body{e.Title, guess}
	if e.plainTitle {
		b.kind = plain
	}
	return collapse(b.readable())
}

func (b body) readable() string {
	switch {
	case b.kind == markup, b.kind != plain && looksLikeHTML(b.text):
		return sources.Text(b.text)
	case b.kind == guess:
		return tidy(html.UnescapeString(b.text))
	}
	return tidy(b.text)
}

// looksLikeHTML tells whether a text holds a tag that HTML knows.
func looksLikeHTML(s string) bool {
	if !strings.Contains(s, "<") {
		return false
	}
	z := nethtml.NewTokenizer(strings.NewReader(s))
	for {
		switch z.Next() {
		case nethtml.ErrorToken:
			return false
		case nethtml.StartTagToken, nethtml.EndTagToken, nethtml.SelfClosingTagToken:
			if name, _ := z.TagName(); atom.Lookup(name) != 0 {
				return true
			}
		}
	}
}

// tidy keeps the lines of a plain text, without control characters, spaces at the end and more than one empty line in a row.
func tidy(s string) string {
	s = strings.NewReplacer("\r\n", "\n", "\r", "\n").Replace(strings.ToValidUTF8(s, "\uFFFD"))
	var b strings.Builder
	empty := 0
	for line := range strings.Lines(s) {
		line = strings.TrimRightFunc(strings.Map(func(r rune) rune {
			if r != '\t' && unicode.IsControl(r) {
				return -1
			}
			return r
		}, line), unicode.IsSpace)
		if line == "" {
			empty++
			continue
		}
		if b.Len() > 0 {
			b.WriteString(strings.Repeat("\n", 1+min(empty, 1)))
		}
		empty = 0
		b.WriteString(line)
	}
	return strings.TrimLeftFunc(b.String(), unicode.IsSpace)
}

func collapse(s string) string { return strings.Join(strings.Fields(s), " ") }

// message puts the title above the text, unless the text begins with it.
func message(title, text string) string {
	switch {
	case title == "":
		return text
	case text == "":
		return title
	}
	bare := strings.TrimRight(strings.TrimSuffix(strings.TrimSuffix(title, "…"), "..."), " ")
	if rest, ok := strings.CutPrefix(collapse(text), bare); ok {
		// "A" is not how "Apples" begins, unless the title says that it was cut.
		next, _ := utf8.DecodeRuneInString(rest)
		if bare != title || !unicode.IsLetter(next) && !unicode.IsDigit(next) {
			return text
		}
	}
	return title + "\n\n" + text
}

// interactor identifies the author by mail address or home page, which hold in every feed, else by the name, which
// holds in this one.
func (p person) interactor(prefix string) *socialhub.Interactor {
	name, email := collapse(html.UnescapeString(p.name)), strings.ToLower(strings.TrimSpace(p.email))
	if strings.HasPrefix(email, "noreply@") || strings.HasPrefix(email, "no-reply@") { // shared by many
		email = ""
	}
	home := sources.ResolveURL(nil, p.uri)
	var id string
	switch {
	case email != "":
		id = sources.ItemID("rss", email)
	case home != "":
		id = sources.ItemID("rss", home)
	case name != "":
		id = sources.ItemID(prefix, name)
	default:
		return nil
	}
	return &socialhub.Interactor{InteractorID: id, Name: cmp.Or(name, email, home), URL: home, Picture: p.avatar}
}

// pictures are those that the feed names, then those in the text.
func (e *entry) pictures() []socialhub.Picture {
	var found pictures
	for _, address := range e.mediaPictures() {
		found.add(sources.ResolveURL(e.base, address))
	}
	if e.Image != nil {
		found.add(sources.ResolveURL(e.base, e.Image.URL))
	}
	for _, file := range e.Enclosures {
		if isImage(file.Type) {
			found.add(sources.ResolveURL(e.base, file.URL))
		}
	}
	if e.body.kind != plain {
		for _, address := range sources.Images(e.body.text, e.base, maxPictures) {
			found.add(address)
		}
	}
	return found.list
}

// pictures holds each address once; https is better than http.
type pictures struct {
	list []socialhub.Picture
	at   map[string]int
}

func (p *pictures) add(address string) {
	if address == "" {
		return
	}
	_, bare, _ := strings.Cut(address, "://")
	if i, known := p.at[bare]; known {
		if strings.HasPrefix(address, "https:") {
			p.list[i].Small = address
		}
		return
	}
	if len(p.list) == maxPictures {
		return
	}
	if p.at == nil {
		p.at = make(map[string]int)
	}
	p.at[bare] = len(p.list)
	p.list = append(p.list, socialhub.Picture{Small: address})
}

func isImage(mimeType string) bool { return strings.HasPrefix(strings.ToLower(mimeType), "image/") }

// attachments are the enclosures that are not pictures.
func (e *entry) attachments() []socialhub.Attachment {
	var list []socialhub.Attachment
	seen := make(map[string]bool)
	for _, file := range append(e.Enclosures[:len(e.Enclosures):len(e.Enclosures)], e.files...) {
		if file.URL == "" || isImage(file.Type) {
			continue
		}
		address := sources.ResolveURL(e.base, file.URL)
		if address == "" || seen[address] {
			continue
		}
		seen[address] = true
		mimeType, _, _ := strings.Cut(file.Type, ";")
		size, err := strconv.ParseInt(strings.TrimSpace(file.Length), 10, 64)
		if err != nil || size < 0 {
			size = 0
		}
		list = append(list, socialhub.Attachment{
			URL: address, Name: fileName(address), Size: size, MimeType: strings.TrimSpace(mimeType),
		})
	}
	return list
}

func fileName(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		return ""
	}
	if name := path.Base(u.Path); name != "." && name != "/" {
		return name
	}
	return ""
}

// rating is the stars of an app store's review feed (im:rating), 1 to 5.
func (e *entry) rating() *socialhub.Rating {
	given := e.Extensions["im"]["rating"]
	if len(given) == 0 {
		return nil
	}
	stars, err := strconv.ParseFloat(strings.TrimSpace(given[0].Value), 64)
	if err != nil || !(stars >= 0 && stars <= 5) {
		return nil
	}
	return &socialhub.Rating{Value: stars, Scale: 5}
}

// mediaPictures reads Media RSS: the pictures of the entry and the first one of each group, which holds one
// picture in several sizes; previews (thumbnails) only where there is no picture.
func (e *entry) mediaPictures() []string {
	media := e.Extensions["media"]
	found := images(media["content"])
	for _, group := range media["group"] {
		inGroup := images(group.Children["content"])
		if len(inGroup) == 0 {
			inGroup = addresses(group.Children["thumbnail"])
		}
		found = append(found, inGroup[:min(len(inGroup), 1)]...)
	}
	if len(found) == 0 {
		found = addresses(media["thumbnail"])
	}
	return found
}

func images(list []ext.Extension) []string {
	var found []string
	for _, c := range list {
		if isImage(c.Attrs["type"]) || c.Attrs["medium"] == "image" {
			found = append(found, c.Attrs["url"])
		} else if previews := addresses(c.Children["thumbnail"]); len(previews) > 0 {
			found = append(found, previews[0])
		}
	}
	return found
}

func addresses(list []ext.Extension) []string {
	var found []string
	for _, c := range list {
		found = append(found, c.Attrs["url"])
	}
	return found
}

// mediaDescription is the text of entries that have their text in Media RSS only, such as those of video channels.
func (e *entry) mediaDescription() string {
	media := e.Extensions["media"]
	for _, group := range media["group"] {
		if d := group.Children["description"]; len(d) > 0 {
			return d[0].Value
		}
	}
	if d := media["description"]; len(d) > 0 {
		return d[0].Value
	}
	return ""
}
