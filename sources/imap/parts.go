package imap

import (
	"cmp"
	"fmt"
	"path"
	"slices"
	"strconv"
	"strings"

	goimap "github.com/emersion/go-imap/v2"
)

// Bounds of a mail's structure; what is beyond is left out.
const (
	maxDepth       = 20
	maxTexts       = 20
	maxAttachments = 50
)

// part is one node of a mail's MIME tree.
type part struct {
	kind        string            // "text/plain", in lower case
	params      map[string]string // of the Content-Type; keys in lower case
	disposition string            // "attachment", "inline" or nothing
	named       map[string]string // parameters of the disposition
	encoding    string
	contentID   string
	size        int64   // in bytes as sent, that is encoded
	section     section // where the server has it
	children    []*part // of a multipart
	inner       *part   // what a message/rfc822 holds
	subject     string  // of inner

	body []byte // if it is here already
}

// section is IMAP's number of a part: 1.2.
type section []int

func (s section) String() string {
	var b strings.Builder
	for i, n := range s {
		if i > 0 {
			b.WriteByte('.')
		}
		b.WriteString(strconv.Itoa(n))
	}
	return b.String()
}

func (s section) below(n int) section { return append(s[:len(s):len(s)], n) }

// fromServer turns the server's BODYSTRUCTURE into the tree. A mail that is no multipart has one part, number 1.
func fromServer(bs goimap.BodyStructure, at section, depth int) *part {
	if _, single := bs.(*goimap.BodyStructureSinglePart); single {
		at = at.below(1)
	}
	return fromServerPart(bs, at, depth)
}

func fromServerPart(bs goimap.BodyStructure, at section, depth int) *part {
	p := &part{section: at}
	if bs == nil || depth > maxDepth {
		return p
	}
	p.kind = bs.MediaType()
	if d := bs.Disposition(); d != nil {
		p.disposition, p.named = strings.ToLower(d.Value), d.Params
	}
	switch bs := bs.(type) {
	case *goimap.BodyStructureMultiPart:
		for i, child := range bs.Children {
			p.children = append(p.children, fromServerPart(child, at.below(i+1), depth+1))
		}
	case *goimap.BodyStructureSinglePart:
		p.params, p.encoding, p.contentID, p.size = bs.Params, bs.Encoding, bs.ID, int64(bs.Size)
		if bs.MessageRFC822 != nil {
			p.inner = fromServer(bs.MessageRFC822.BodyStructure, at, depth+1)
			if bs.MessageRFC822.Envelope != nil {
				p.subject = bs.MessageRFC822.Envelope.Subject
			}
		}
	}
	return p
}

// content is what of a mail is shown.
type content struct {
	texts       []text
	attachments []attachment
}

// text is one text of a mail in the versions in which it is there, best first. A version is one or more parts.
type text [][]*part

type attachment struct {
	*part
	name string
}

// survey chooses what to show of a mail. If that is no text at all, texts of mails inside of it and
// attached texts without a wish to be attachments are taken.
func survey(root *part) content {
	var s surveyor
	s.walk(root, false, 0)
	found := s.content
	if len(found.texts) == 0 && s.spare != nil {
		found.texts = []text{{{s.spare}}}
		found.attachments = slices.DeleteFunc(found.attachments, func(a attachment) bool { return a.part == s.spare })
	}
	if len(found.texts) == 0 && s.inner != nil {
		found.texts = survey(s.inner).texts
	}
	found.texts = found.texts[:min(len(found.texts), maxTexts)]
	return found
}

type surveyor struct {
	content
	spare *part // a text with a name
	inner *part // a mail in the mail
}

// walk adds a part; related is true beside the root of a multipart/related, where pictures belong to the text.
func (s *surveyor) walk(p *part, related bool, depth int) {
	if depth > maxDepth || len(s.attachments) >= maxAttachments {
		return
	}
	switch {
	case p.kind == "multipart/alternative":
		s.alternative(p, depth)
	case strings.HasPrefix(p.kind, "multipart/"):
		for i, child := range p.children {
			s.walk(child, p.kind == "multipart/related" && i > 0, depth+1)
		}
	case isText(p.kind) && !p.attached():
		s.texts = append(s.texts, text{{p}})
	case isText(p.kind) && p.disposition != "attachment" && s.spare == nil:
		s.spare = p
		fallthrough
	default:
		s.attach(p, related)
	}
}

func (s *surveyor) attach(p *part, related bool) {
	switch {
	case p.kind == "", strings.HasSuffix(p.kind, "-signature"), p.kind == "application/pgp-encrypted", // of S/MIME and PGP
		p.kind == "message/delivery-status", p.kind == "text/rfc822-headers",
		(related || p.contentID != "" && p.disposition == "inline") && p.disposition != "attachment" && strings.HasPrefix(p.kind, "image/"):
		return
	}
	if p.inner != nil && s.inner == nil {
		s.inner = p.inner
	}
	s.attachments = append(s.attachments, attachment{p, p.title()})
}

// alternative takes the plain version, with the HTML one behind it, and the attachments of all.
func (s *surveyor) alternative(p *part, depth int) {
	var plain, markup, other text
	for _, child := range p.children {
		var sub surveyor
		sub.walk(child, true, depth+1)
		var version []*part
		for _, t := range sub.texts {
			version = append(version, t[0]...)
		}
		switch {
		case len(version) == 0:
		case version[0].kind == "text/plain" && plain == nil:
			plain = text{version}
		case version[0].kind == "text/html" && markup == nil:
			markup = text{version}
		default:
			other = text{version}
		}
		if child.kind != "text/calendar" {
			s.attachments = append(s.attachments, sub.attachments...)
		}
		s.inner = cmp.Or(s.inner, sub.inner)
		s.spare = cmp.Or(s.spare, sub.spare)
	}
	if versions := slices.Concat(plain, markup, other); len(versions) > 0 {
		s.texts = append(s.texts, versions)
	}
}

func isText(kind string) bool {
	return kind == "text/plain" || kind == "text/html" || kind == "text/enriched"
}

// attached tells whether a text is rather a file.
func (p *part) attached() bool {
	return p.disposition == "attachment" || p.fileName() != ""
}

// fewBytes is how small a version of a text is that may well be blank, or say no more than "see the HTML".
const fewBytes = 64

// wanted are the parts to fetch for a text: the best version, and the next one if that is hardly anything.
func (t text) wanted() []*part {
	wanted := t[0]
	size := int64(0)
	for _, p := range t[0] {
		size += p.size
	}
	if size <= fewBytes && len(t) > 1 {
		wanted = slices.Concat(wanted, t[1])
	}
	return wanted
}

// title is what to call an attachment.
func (p *part) title() string {
	switch name := p.fileName(); {
	case name != "":
		return name
	case p.inner != nil:
		return cmp.Or(cutBytes(line(decodeWords(p.subject)), maxName), "mail") + ".eml"
	}
	return cmp.Or(line(p.kind), "file")
}

func (p *part) fileName() string {
	name := cmp.Or(parameter(p.named, "filename"), parameter(p.params, "name"))
	name = path.Base(strings.ReplaceAll(line(decodeWords(name)), `\`, "/"))
	if name == "." || name == "/" {
		return ""
	}
	return cutBytes(name, maxName)
}

// decodedSize is about the size of the file: base64 has 4 characters for 3 bytes, and line ends.
func (p *part) decodedSize() int64 {
	if strings.EqualFold(p.encoding, "base64") {
		return p.size * 57 / 78
	}
	return p.size
}

// parameter returns a MIME parameter, put together and decoded after RFC 2231: name, name*, name*0, name*1*.
func parameter(params map[string]string, key string) string {
	if plain := params[key]; plain != "" {
		return plain
	}
	var value []byte
	charset, encoded := "", false
	add := func(piece string, extended, first bool) {
		if extended && first {
			if parts := strings.SplitN(piece, "'", 3); len(parts) == 3 {
				charset, piece, encoded = parts[0], parts[2], true
			}
		}
		if extended {
			value = appendUnescaped(value, []byte(piece), '%')
		} else {
			value = append(value, piece...)
		}
	}
	if piece, ok := params[key+"*"]; ok {
		add(piece, true, true)
	}
	for n := range len(params) {
		piece, plain := params[fmt.Sprintf("%s*%d", key, n)]
		extended := false
		if !plain {
			if piece, extended = params[fmt.Sprintf("%s*%d*", key, n)]; !extended {
				break
			}
		}
		add(piece, extended, n == 0)
	}
	if !encoded {
		return string(value)
	}
	return toUTF8(value, charset, false)
}

// shownSize is a size as people read it, in units of 1000 bytes: "12 kB".
func shownSize(n int64) string {
	switch {
	case n == 1:
		return "1 byte"
	case n < 1000:
		return fmt.Sprintf("%d bytes", n)
	case n < 999_500:
		return fmt.Sprintf("%d kB", (n+500)/1000)
	}
	return fmt.Sprintf("%.1f MB", float64(n)/1e6)
}
