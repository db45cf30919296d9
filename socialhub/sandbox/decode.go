package sandbox

import (
	"encoding/json"
	"fmt"
	"math"
	"time"
	"unicode/utf8"

	"socialhub-sync/socialhub"
)

// change is the body of a POST or PATCH: the values, and which of the fields were sent.
type change struct {
	socialhub.Interaction
	updated time.Time
	sent    fieldSet
}

// fieldSet says which fields of an interaction a body carries.
type fieldSet uint

const (
	sentMessage fieldSet = 1 << iota
	sentPictures
	sentAttachments
	sentLink
	sentRating
	sentURL
	sentInteractor
	sentType

	sentContent = sentMessage | sentPictures | sentAttachments | sentLink | sentRating
)

// fieldError is what is wrong with one field.
type fieldError struct{ field, problem string }

func (e *fieldError) Error() string { return e.field + " " + e.problem }

// in puts the name of the parent before the field's.
func (e *fieldError) in(parent string) *fieldError {
	if e.field != "" && e.field[0] != '[' {
		parent += "."
	}
	return &fieldError{parent + e.field, e.problem}
}

func wrong(problem string) *fieldError { return &fieldError{problem: problem} }

// field is one rule of the documentation's table: how a member of a JSON object is checked and kept.
type field[T any] struct {
	name     string
	required bool
	// refused is why the field can't be sent here; empty if it can.
	refused string
	read    func(into *T, v any) *fieldError
}

// readObject checks v against the fields and keeps what they hold. Anything else in it is an error.
func readObject[T any](v any, fields []field[T], into *T) *fieldError {
	members, ok := v.(map[string]any)
	if !ok {
		return wrong("must be an object")
	}
	known := 0
	for i := range fields {
		f := &fields[i]
		value, ok := members[f.name]
		switch {
		case !ok && f.required:
			return &fieldError{f.name, "is required"}
		case !ok:
			continue
		case f.refused != "":
			return &fieldError{f.name, f.refused}
		}
		known++
		if err := f.read(into, value); err != nil {
			return err.in(f.name)
		}
	}
	if known < len(members) {
		return &fieldError{unknown(members, fields), "is not a known field"}
	}
	return nil
}

// unknown returns the first of the members that isn't a field, by name.
func unknown[T any](members map[string]any, fields []field[T]) string {
	names := make(map[string]bool, len(fields))
	for i := range fields {
		names[fields[i].name] = true
	}
	first := ""
	for name := range members {
		if !names[name] && (first == "" || name < first) {
			first = name
		}
	}
	return shorten(first)
}

// shorten keeps an answer small when a field's name is not.
func shorten(name string) string {
	if r := []rune(name); len(r) > 64 {
		return string(r[:64]) + "…"
	}
	return name
}

// readList checks each element of an array and returns a list that is never nil.
func readList[T any](v any, fields []field[T]) ([]T, *fieldError) {
	elements, ok := v.([]any)
	if !ok {
		return nil, wrong("must be an array")
	}
	list := make([]T, len(elements))
	for i, e := range elements {
		if err := readObject(e, fields, &list[i]); err != nil {
			return nil, err.in(fmt.Sprintf("[%d]", i))
		}
	}
	return list, nil
}

// readText keeps a string for which valid holds.
func readText(into *string, v any, valid func(string) bool, problem string) *fieldError {
	text, ok := v.(string)
	if !ok {
		return wrong("must be a string")
	}
	if !valid(text) {
		return wrong(problem)
	}
	*into = text
	return nil
}

func readHTTPS(into *string, v any) *fieldError {
	return readText(into, v, socialhub.HTTPS, "must be a https:// URL")
}

func readURL(into *string, v any) *fieldError {
	return readText(into, v, socialhub.WebURL, "must be a URL")
}

func readItemID(into *string, v any) *fieldError {
	return readText(into, v, socialhub.ValidItemID, `must match ^[a-zA-Z0-9/|@&$!?()[\]{}+*~,;.:=_-]{6,256}$`)
}

func readName(into *string, v any) *fieldError {
	return readText(into, v, func(s string) bool { return s != "" }, "must not be empty")
}

func readNumber(v any, highest float64) (float64, *fieldError) {
	n, ok := v.(float64)
	if !ok {
		return 0, wrong("must be a number")
	}
	if n < 0 || n > highest {
		if highest == math.MaxFloat64 {
			return 0, wrong("must be at least 0")
		}
		return 0, wrong(fmt.Sprintf("must be from 0 to %g", highest))
	}
	return n, nil
}

func readTime(into *time.Time, v any) *fieldError {
	text, ok := v.(string)
	if !ok {
		return wrong("must be a string")
	}
	t, err := time.Parse(time.RFC3339, text)
	if err != nil {
		return wrong("must be an ISO 8601 date and time with its zone, as 2019-01-28T16:58:12.736Z")
	}
	*into = t.UTC()
	return nil
}

var pictureFields = []field[socialhub.Picture]{
	{name: "small", required: true, read: func(p *socialhub.Picture, v any) *fieldError { return readHTTPS(&p.Small, v) }},
	{name: "large", read: func(p *socialhub.Picture, v any) *fieldError { return readHTTPS(&p.Large, v) }},
}

var attachmentFields = []field[socialhub.Attachment]{
	{name: "url", required: true, read: func(a *socialhub.Attachment, v any) *fieldError { return readHTTPS(&a.URL, v) }},
	{name: "name", read: func(a *socialhub.Attachment, v any) *fieldError {
		return readText(&a.Name, v, utf8.ValidString, "must be text")
	}},
	{name: "size", read: func(a *socialhub.Attachment, v any) *fieldError {
		n, err := readNumber(v, math.MaxFloat64)
		a.Size = int64(min(n, 1<<53))
		return err
	}},
	{name: "mimeType", read: func(a *socialhub.Attachment, v any) *fieldError {
		return readText(&a.MimeType, v, socialhub.ValidMimeType, "must match ^[a-zA-Z]+/[a-zA-Z0-9]+([.+-][a-zA-Z0-9]+)*$")
	}},
}

var ratingFields = []field[socialhub.Rating]{
	{name: "value", required: true, read: func(r *socialhub.Rating, v any) (err *fieldError) {
		r.Value, err = readNumber(v, math.MaxFloat64)
		return err
	}},
	{name: "scale", required: true, read: func(r *socialhub.Rating, v any) (err *fieldError) {
		r.Scale, err = readNumber(v, socialhub.MaxRatingScale)
		return err
	}},
}

var rootFields = []field[socialhub.Root]{
	{name: "rootId", required: true, read: func(r *socialhub.Root, v any) *fieldError { return readItemID(&r.RootID, v) }},
}

// interactorFields are those of a creation; an update refuses the id.
var interactorFields = []field[socialhub.Interactor]{
	{name: "interactorId", required: true, read: func(i *socialhub.Interactor, v any) *fieldError {
		enough := func(s string) bool { return utf8.RuneCountInString(s) >= socialhub.MinInteractorID }
		return readText(&i.InteractorID, v, enough, "must have at least 3 characters")
	}},
	{name: "name", required: true, read: func(i *socialhub.Interactor, v any) *fieldError { return readName(&i.Name, v) }},
	{name: "url", read: func(i *socialhub.Interactor, v any) *fieldError { return readURL(&i.URL, v) }},
	{name: "picture", read: func(i *socialhub.Interactor, v any) *fieldError { return readHTTPS(&i.Picture, v) }},
}

var interactorUpdateFields = append([]field[socialhub.Interactor]{
	{name: "interactorId", refused: "can't be changed"},
}, interactorFields[1:]...)

// contentFields are what POST and PATCH share.
var contentFields = []field[change]{
	{name: "message", read: func(c *change, v any) *fieldError {
		c.sent |= sentMessage
		return readText(&c.Message, v, fitsMessage, "must have at most 10000 characters")
	}},
	{name: "pictures", read: func(c *change, v any) (err *fieldError) {
		c.sent |= sentPictures
		c.Pictures, err = readList(v, pictureFields)
		return err
	}},
	{name: "attachments", read: func(c *change, v any) (err *fieldError) {
		c.sent |= sentAttachments
		c.Attachments, err = readList(v, attachmentFields)
		return err
	}},
	{name: "link", read: func(c *change, v any) *fieldError {
		c.sent |= sentLink
		return readURL(&c.Link, v)
	}},
	{name: "rating", read: func(c *change, v any) *fieldError {
		c.sent |= sentRating
		c.Rating = new(socialhub.Rating)
		return readObject(v, ratingFields, c.Rating)
	}},
	{name: "url", read: func(c *change, v any) *fieldError {
		c.sent |= sentURL
		return readURL(&c.URL, v)
	}},
	{name: "type", read: func(c *change, v any) *fieldError {
		c.sent |= sentType
		return readText(&c.Type, v, socialhub.ValidType, "must be one of SocialHub's ticket types")
	}},
}

var creationFields = append([]field[change]{
	{name: "networkItemId", required: true, read: func(c *change, v any) *fieldError { return readItemID(&c.NetworkItemID, v) }},
	{name: "createdTime", read: func(c *change, v any) *fieldError { return readTime(&c.CreatedTime, v) }},
	{name: "updatedTime", refused: "can't be set on creation"},
	{name: "root", read: func(c *change, v any) *fieldError {
		c.Root = new(socialhub.Root)
		return readObject(v, rootFields, c.Root)
	}},
	{name: "interactor", read: func(c *change, v any) *fieldError {
		c.sent |= sentInteractor
		c.Interactor = new(socialhub.Interactor)
		return readObject(v, interactorFields, c.Interactor)
	}},
}, contentFields...)

var updateFields = append([]field[change]{
	{name: "networkItemId", refused: "can't be changed"},
	{name: "createdTime", refused: "can't be changed"},
	{name: "root", refused: "can't be changed"},
	{name: "updatedTime", read: func(c *change, v any) *fieldError { return readTime(&c.updated, v) }},
	{name: "interactor", read: func(c *change, v any) *fieldError {
		c.sent |= sentInteractor
		c.Interactor = new(socialhub.Interactor)
		return readObject(v, interactorUpdateFields, c.Interactor)
	}},
}, contentFields...)

func fitsMessage(s string) bool {
	return len(s) <= socialhub.MaxMessage || socialhub.MessageLength(s) <= socialhub.MaxMessage
}

// bodyFields returns the rules for a whole body around an interaction's.
func bodyFields(interaction []field[change]) []field[change] {
	return []field[change]{
		{name: "followupTo", refused: "can't be set"},
		{name: "interaction", required: true, read: func(c *change, v any) *fieldError {
			return readObject(v, interaction, c)
		}},
	}
}

var (
	creationBody = bodyFields(creationFields)
	updateBody   = bodyFields(updateFields)
)

// decodeCreation reads the body of a POST; the error is for the client.
func decodeCreation(body []byte, reusable bool) (*change, error) {
	c, err := decode(body, creationBody, reusable)
	if err != nil {
		return nil, err
	}
	if c.Message == "" && len(c.Pictures) == 0 && len(c.Attachments) == 0 && c.Link == "" && c.Rating == nil {
		return nil, errNoContent
	}
	return c, nil
}

// decodeUpdate reads the body of a PATCH; loose lets it do without a content field.
func decodeUpdate(body []byte, reusable, loose bool) (*change, error) {
	c, err := decode(body, updateBody, reusable)
	if err != nil {
		return nil, err
	}
	if c.sent&sentContent == 0 && !loose {
		return nil, errNoContent
	}
	return c, nil
}

var errNoContent = &fieldError{"interaction", "must have at least one of message, pictures, attachments, link, rating"}

func decode(body []byte, fields []field[change], reusable bool) (*change, error) {
	var v any
	if err := json.Unmarshal(body, &v); err != nil {
		return nil, &fieldError{"body", "must be JSON: " + err.Error()}
	}
	c := new(change)
	if err := readObject(v, fields, c); err != nil {
		if err.field == "" {
			err.field = "body"
		}
		return nil, err
	}
	if c.sent&sentType != 0 && !reusable {
		return nil, &fieldError{"interaction.type", "is only for channels of reusable manifests"}
	}
	return c, nil
}

// applyTo changes what the body carried and nothing else. Lists are replaced, never written to, so that
// copies of the interaction stay as they were.
func (c *change) applyTo(i *socialhub.Interaction) {
	if c.sent&sentMessage != 0 {
		i.Message = c.Message
	}
	if c.sent&sentPictures != 0 {
		i.Pictures = c.Pictures
	}
	if c.sent&sentAttachments != 0 {
		i.Attachments = c.Attachments
	}
	if c.sent&sentLink != 0 {
		i.Link = c.Link
	}
	if c.sent&sentRating != 0 {
		i.Rating = c.Rating
	}
	if c.sent&sentURL != 0 {
		i.URL = c.URL
	}
	if c.sent&sentType != 0 {
		i.Type = c.Type
	}
	if c.sent&sentInteractor != 0 {
		i.Interactor = mergeInteractor(i.Interactor, c.Interactor)
	}
}

// mergeInteractor returns a new interactor; an update has no id, and always a name.
func mergeInteractor(old, update *socialhub.Interactor) *socialhub.Interactor {
	merged := *update
	if old == nil {
		return &merged
	}
	merged.InteractorID = old.InteractorID
	if merged.URL == "" {
		merged.URL = old.URL
	}
	if merged.Picture == "" {
		merged.Picture = old.Picture
	}
	return &merged
}
