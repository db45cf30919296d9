package socialhub

import (
	"errors"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// fullInteraction has every field set to something valid.
func fullInteraction() *Interaction {
	return &Interaction{
		NetworkItemID: "question-q_0000000001",
		Message:       "Hello, can someone help me?",
		Pictures:      []Picture{{Small: "https://example.com/1/small.png", Large: "https://example.com/1/large.png"}},
		Attachments:   []Attachment{{URL: "https://example.com/invoice.pdf", Name: "invoice.pdf", Size: 1024, MimeType: "application/pdf"}},
		Link:          "http://example.com/shared",
		Rating:        &Rating{Value: 7, Scale: 10},
		CreatedTime:   time.Date(2019, 1, 28, 16, 58, 12, 736e6, time.UTC),
		URL:           "http://example.com/questions/1",
		Root:          &Root{RootID: "question-q_0000000000"},
		Interactor:    &Interactor{InteractorID: "u-1", Name: "Ada", URL: "http://example.com/ada", Picture: "https://example.com/ada.png"},
		Type:          TypeComment,
	}
}

// brokenFields are the paths that err names, in order.
func brokenFields(t *testing.T, err error) []string {
	t.Helper()
	if err == nil {
		return nil
	}
	joined, ok := err.(interface{ Unwrap() []error })
	if !ok {
		t.Fatalf("%T is not a joined error", err)
	}
	var fields []string
	for _, err := range joined.Unwrap() {
		fault, ok := errors.AsType[*FieldError](err)
		if !ok {
			t.Fatalf("%T is not a *FieldError", err)
		}
		if fault.Error() != fault.Field+": "+fault.Problem || fault.Problem == "" {
			t.Errorf("the fault reads %q", fault)
		}
		fields = append(fields, fault.Field)
	}
	return fields
}

func TestEveryBrokenRuleOfAnInteractionIsNamed(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		change func(*Interaction)
		want   []string
	}{
		"nothing is wrong":     {func(*Interaction) {}, nil},
		"only what is needed":  {func(i *Interaction) { *i = Interaction{NetworkItemID: "abcdef", Message: "x"} }, nil},
		"a picture is enough":  {func(i *Interaction) { *i = Interaction{NetworkItemID: "abcdef", Pictures: i.Pictures} }, nil},
		"a file is enough":     {func(i *Interaction) { *i = Interaction{NetworkItemID: "abcdef", Attachments: i.Attachments} }, nil},
		"a link is enough":     {func(i *Interaction) { *i = Interaction{NetworkItemID: "abcdef", Link: i.Link} }, nil},
		"a rating is enough":   {func(i *Interaction) { *i = Interaction{NetworkItemID: "abcdef", Rating: &Rating{}} }, nil},
		"nothing at all":       {func(i *Interaction) { *i = Interaction{} }, []string{"networkItemId", "message"}},
		"no content":           {func(i *Interaction) { *i = Interaction{NetworkItemID: "abcdef", URL: i.URL} }, []string{"message"}},
		"id has a space":       {func(i *Interaction) { i.NetworkItemID = "question 1" }, []string{"networkItemId"}},
		"message at the limit": {func(i *Interaction) { i.Message = strings.Repeat("😀", MaxMessage/2) }, nil},
		"message too long":     {func(i *Interaction) { i.Message = strings.Repeat("😀", MaxMessage/2) + "a" }, []string{"message"}},
		"pictures not https": {func(i *Interaction) {
			i.Pictures = append(i.Pictures, Picture{Small: "http://example.com/a"}, Picture{Small: "https://example.com/a", Large: "a.png"}, Picture{})
		}, []string{"pictures[1].small", "pictures[2].large", "pictures[3].small"}},
		"attachments": {func(i *Interaction) {
			i.Attachments = append(i.Attachments, Attachment{}, Attachment{URL: "https://example.com/a", Size: -1, MimeType: "image"})
		}, []string{"attachments[1].url", "attachments[2].size", "attachments[2].mimeType"}},
		"link is no address":      {func(i *Interaction) { i.Link = "example.com" }, []string{"link"}},
		"url is no address":       {func(i *Interaction) { i.URL = "see below" }, []string{"url"}},
		"rating below 0":          {func(i *Interaction) { i.Rating = &Rating{Value: -1, Scale: -1} }, []string{"rating.value", "rating.scale"}},
		"rating scale above 100":  {func(i *Interaction) { i.Rating = &Rating{Value: 101, Scale: 101} }, []string{"rating.scale"}},
		"rating is not a number":  {func(i *Interaction) { i.Rating = &Rating{Value: math.NaN(), Scale: math.NaN()} }, []string{"rating.value", "rating.scale"}},
		"rating is infinite":      {func(i *Interaction) { i.Rating = &Rating{Value: math.Inf(1), Scale: math.Inf(1)} }, []string{"rating.value", "rating.scale"}},
		"time after year 9999":    {func(i *Interaction) { i.CreatedTime = time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC) }, []string{"createdTime"}},
		"time before year 1":      {func(i *Interaction) { i.CreatedTime = time.Date(0, 1, 1, 0, 0, 0, 0, time.UTC) }, []string{"createdTime"}},
		"root id is too short":    {func(i *Interaction) { i.Root = &Root{RootID: "q1"} }, []string{"root.rootId"}},
		"interactor is empty":     {func(i *Interaction) { i.Interactor = &Interactor{} }, []string{"interactor.interactorId", "interactor.name"}},
		"interactor id too short": {func(i *Interaction) { i.Interactor.InteractorID = "äö" }, []string{"interactor.interactorId"}},
		"interactor addresses": {func(i *Interaction) { i.Interactor.URL, i.Interactor.Picture = "x", "http://example.com/a.png" },
			[]string{"interactor.url", "interactor.picture"}},
		"type is unknown": {func(i *Interaction) { i.Type = "LIKE" }, []string{"type"}},
	} {
		i := fullInteraction()
		c.change(i)
		if diff := cmp.Diff(c.want, brokenFields(t, i.Validate())); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

func TestEveryBrokenRuleOfAnUpdateIsNamed(t *testing.T) {
	t.Parallel()
	now := time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC)
	for name, c := range map[string]struct {
		change func(*Update)
		want   []string
	}{
		"nothing is wrong": {func(*Update) {}, nil},
		"no content":       {func(u *Update) { *u = Update{Pictures: []Picture{}, URL: u.URL} }, []string{"message"}},
		"the id is sent":   {func(u *Update) { u.Interactor.InteractorID = "u-1" }, []string{"interactor.interactorId"}},
		"everything": {func(u *Update) {
			*u = Update{Message: strings.Repeat("a", MaxMessage+1), Pictures: []Picture{{}}, Attachments: []Attachment{{}}, Link: "x",
				Rating: &Rating{Scale: 101}, URL: "x", Interactor: &Interactor{Picture: "x"}, UpdatedTime: now.AddDate(9000, 0, 0)}
		}, []string{"message", "pictures[0].small", "attachments[0].url", "link", "rating.scale", "url", "updatedTime",
			"interactor.name", "interactor.picture"}},
	} {
		u := UpdateOf(fullInteraction(), now)
		c.change(u)
		if diff := cmp.Diff(c.want, brokenFields(t, u.Validate())); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

func TestAFaultDoesNotShowTheContent(t *testing.T) {
	t.Parallel()
	const secret = "Sesam"
	i := &Interaction{
		NetworkItemID: "öffne " + secret, Message: strings.Repeat(secret, MaxMessage), Pictures: []Picture{{Small: secret, Large: secret}},
		Attachments: []Attachment{{URL: secret, MimeType: secret}}, Link: secret, URL: secret, Root: &Root{RootID: secret},
		Interactor: &Interactor{InteractorID: "S", URL: secret, Picture: secret}, Type: secret,
	}
	if err := i.Validate(); strings.Contains(err.Error(), secret) {
		t.Errorf("the content leaks into %q", err)
	}
}

func TestAValidInteractionCostsNoAllocation(t *testing.T) {
	i := fullInteraction()
	u := UpdateOf(i, time.Now())
	if n := testing.AllocsPerRun(100, func() {
		if i.Validate() != nil || u.Validate() != nil {
			t.Fatal("not valid")
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkValidate(b *testing.B) {
	i := fullInteraction()
	b.ReportAllocs()
	for b.Loop() {
		if i.Validate() != nil {
			b.Fatal("not valid")
		}
	}
}
