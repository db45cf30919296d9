package imap

import (
	"strconv"
	"strings"

	goimap "github.com/emersion/go-imap/v2"

	"socialhub-sync/sources/imap/mail"
)

// maxDepth is how deep the parts of a mail are looked for.
const maxDepth = 20

// structure turns the server's BODYSTRUCTURE into a tree. A mail that is no multipart has one part, number 1.
func structure(bs goimap.BodyStructure, at []int, depth int) *mail.Part {
	if _, single := bs.(*goimap.BodyStructureSinglePart); single {
		at = below(at, 1)
	}
	return partOf(bs, at, depth)
}

func partOf(bs goimap.BodyStructure, at []int, depth int) *mail.Part {
	p := &mail.Part{Section: at}
	if bs == nil || depth > maxDepth {
		return p
	}
	p.Kind = bs.MediaType()
	if d := bs.Disposition(); d != nil {
		p.Disposition, p.Named = strings.ToLower(d.Value), d.Params
	}
	switch bs := bs.(type) {
	case *goimap.BodyStructureMultiPart:
		for i, child := range bs.Children {
			p.Children = append(p.Children, partOf(child, below(at, i+1), depth+1))
		}
	case *goimap.BodyStructureSinglePart:
		p.Params, p.Encoding, p.ContentID, p.Size = bs.Params, bs.Encoding, bs.ID, int64(bs.Size)
		if inner := bs.MessageRFC822; inner != nil {
			p.Inner = structure(inner.BodyStructure, at, depth+1)
			if inner.Envelope != nil {
				p.Subject = inner.Envelope.Subject
			}
		}
	}
	return p
}

// below is the section of the nth part inside of a section.
func below(at []int, n int) []int { return append(at[:len(at):len(at)], n) }

// sectionName is how IMAP writes a section: 1.2.
func sectionName(at []int) string {
	var b []byte
	for i, n := range at {
		if i > 0 {
			b = append(b, '.')
		}
		b = strconv.AppendInt(b, int64(n), 10)
	}
	return string(b)
}
