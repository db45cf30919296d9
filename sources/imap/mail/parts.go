package mail

import (
	"cmp"
	"fmt"
	"path"
	"slices"
	"strings"
)

// Bounds of a mail's structure; what is beyond is left out.
const (
	maxDepth = 20
	maxTexts = 20
	maxFiles = 50
)

// Part is one node of a mail's MIME tree.
type Part struct {
	Kind        string            // "text/plain", in lower case
	Params      map[string]string // of the Content-Type; keys in lower case
	Disposition string            // "attachment", "inline" or nothing, in lower case
	Named       map[string]string // parameters of the disposition
	Encoding    string            // the Content-Transfer-Encoding
	ContentID   string
	Size        int64   // in bytes as sent, that is encoded
	Children    []*Part // of a multipart
	Inner       *Part   // what a message/rfc822 holds
	Subject     string  // of Inner

	// Section is the number that an IMAP server has for the part: 1.2. It is nothing to this package.
	Section []int
	// Body is the content as sent, or its beginning, as far as it is here.
	Body []byte
}

// text is one text of a mail in the versions in which it is there, best first. A version is one or more parts.
type text [][]*Part

// file is an attachment.
type file struct {
	*Part
	name string
}

// content is what of a mail is shown.
type content struct {
	texts []text
	files []file
}

// survey chooses what to show of a mail. If that is no text at all, texts of mails inside of it and
// attached texts without a wish to be files are taken.
func survey(root *Part) content {
	var s surveyor
	s.walk(root, false, 0)
	found := s.content
	if len(found.texts) == 0 && s.spare != nil {
		found.texts = []text{{{s.spare}}}
		found.files = slices.DeleteFunc(found.files, func(f file) bool { return f.Part == s.spare })
	}
	if len(found.texts) == 0 && s.inner != nil {
		found.texts = survey(s.inner).texts
	}
	found.texts = found.texts[:min(len(found.texts), maxTexts)]
	return found
}

type surveyor struct {
	content
	spare *Part // a text with a name
	inner *Part // a mail in the mail
}

// walk adds a part; related is true beside the root of a multipart/related, where pictures belong to the text.
func (s *surveyor) walk(p *Part, related bool, depth int) {
	if depth > maxDepth || len(s.files) >= maxFiles {
		return
	}
	switch {
	case p.Kind == "multipart/alternative":
		s.alternative(p, depth)
	case strings.HasPrefix(p.Kind, "multipart/"):
		for i, child := range p.Children {
			s.walk(child, p.Kind == "multipart/related" && i > 0, depth+1)
		}
	case isText(p.Kind) && !p.attached():
		s.texts = append(s.texts, text{{p}})
	case isText(p.Kind) && p.Disposition != "attachment" && s.spare == nil:
		s.spare = p
		fallthrough
	default:
		s.attach(p, related)
	}
}

func (s *surveyor) attach(p *Part, related bool) {
	switch {
	case p.Kind == "", strings.HasSuffix(p.Kind, "-signature"), p.Kind == "application/pgp-encrypted", // of S/MIME and PGP
		p.Kind == "message/delivery-status", p.Kind == "text/rfc822-headers",
		(related || p.ContentID != "" && p.Disposition == "inline") && p.Disposition != "attachment" && strings.HasPrefix(p.Kind, "image/"):
		return
	}
	if p.Inner != nil && s.inner == nil {
		s.inner = p.Inner
	}
	s.files = append(s.files, file{p, p.title()})
}

// alternative takes the plain version, with the HTML one behind it, and the files of all.
func (s *surveyor) alternative(p *Part, depth int) {
	var plain, markup, other text
	for _, child := range p.Children {
		var sub surveyor
		sub.walk(child, true, depth+1)
		var version []*Part
		for _, t := range sub.texts {
			version = append(version, t[0]...)
		}
		switch {
		case len(version) == 0:
		case version[0].Kind == "text/plain" && plain == nil:
			plain = text{version}
		case version[0].Kind == "text/html" && markup == nil:
			markup = text{version}
		default:
			other = text{version}
		}
		if child.Kind != "text/calendar" {
			s.files = append(s.files, sub.files...)
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
func (p *Part) attached() bool {
	return p.Disposition == "attachment" || p.fileName() != ""
}

// title is what to call an attachment.
func (p *Part) title() string {
	switch name := p.fileName(); {
	case name != "":
		return name
	case p.Inner != nil:
		return cmp.Or(OneLine(decodeWords(p.Subject), maxName), "mail") + ".eml"
	}
	return cmp.Or(OneLine(p.Kind, maxName), "file")
}

func (p *Part) fileName() string {
	name := cmp.Or(parameter(p.Named, "filename"), parameter(p.Params, "name"))
	name = path.Base(strings.ReplaceAll(line(decodeWords(name)), `\`, "/"))
	if name == "." || name == "/" {
		return ""
	}
	return OneLine(name, maxName)
}

// decodedSize is about the size of the file: base64 has 4 characters for 3 bytes, and line ends.
func (p *Part) decodedSize() int64 {
	if strings.EqualFold(p.Encoding, "base64") {
		return p.Size * 57 / 78
	}
	return p.Size
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
