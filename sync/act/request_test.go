package act

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"socialhub-sync/socialhub"
	"socialhub-sync/sources"
	"socialhub-sync/store"
	"socialhub-sync/sync/act/fetch"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m)
}

func TestWhatIsKeptOfAPostedReply(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 5, 4, 3, 2, 1, 0, time.FixedZone("east", 3600))
	answered := store.Action{Key: "f-1", NetworkItemID: "item-1"}
	below := store.Action{Key: "f-1", NetworkItemID: "item-2", RootID: "item-1"}
	for name, test := range map[string]struct {
		action store.Action
		posted sources.Posted
		want   store.PostedReply
	}{
		"all that there is": {below, sources.Posted{NetworkItemID: "x-12345", URL: "https://example.com/1", CreatedTime: at, Ref: []byte(`{"id":1}`)},
			store.PostedReply{NetworkItemID: "x-12345", RootID: "item-1", Ref: `{"id":1}`, Note: `{"createdTime":"2026-05-04T02:02:01Z","url":"https://example.com/1"}`}},
		"nothing": {answered, sources.Posted{}, store.PostedReply{NetworkItemID: "reply-f-1", RootID: "item-1", Note: `{}`}},
		"what SocialHub would refuse": {answered, sources.Posted{NetworkItemID: "ä", URL: "/relative", CreatedTime: time.Date(12026, 1, 1, 0, 0, 0, 0, time.UTC), Ref: []byte(`{`)},
			store.PostedReply{NetworkItemID: "reply-f-1", RootID: "item-1", Note: `{}`}},
	} {
		got := postedOf(&test.action, test.posted)
		if diff := cmp.Diff(test.want, *got); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
		told := confirmationOf(&store.Action{ReplyID: got.NetworkItemID, Reply: got.Note})
		if !socialhub.ValidItemID(told.NetworkItemID) || told.URL != "" && told.URL != test.posted.URL || !told.CreatedTime.IsZero() && !told.CreatedTime.Equal(at) {
			t.Errorf("%s: SocialHub is told %+v", name, told)
		}
	}
	long := store.Action{Key: string(make([]byte, 256)), NetworkItemID: "item-1"}
	if id := postedOf(&long, sources.Posted{}).NetworkItemID; !socialhub.ValidItemID(id) {
		t.Errorf("the id made of a long followupId is %q", id)
	}
}

func TestAFileHasANameThatIsNoPathAndAKind(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		in         socialhub.ActionAttachment
		said       string
		name, kind string
	}{
		{socialhub.ActionAttachment{Name: "cat.png", Extension: "png", MimeType: "image/png"}, "", "cat.png", "image/png"},
		{socialhub.ActionAttachment{Name: "cat", Extension: ".png"}, "image/png; q=1", "cat.png", "image/png"},
		{socialhub.ActionAttachment{Name: "../../etc/passwd"}, "", "passwd", "application/octet-stream"},
		{socialhub.ActionAttachment{Name: `C:\cat.png`}, "", "cat.png", "application/octet-stream"},
		{socialhub.ActionAttachment{Name: "..", Extension: "a/b"}, "", "file", "application/octet-stream"},
		{socialhub.ActionAttachment{MimeType: "rubbish"}, "rubbish", "file", "application/octet-stream"},
	} {
		got := attachmentOf(&test.in, &fetch.File{Size: 3, MimeType: test.said})
		if got.Name != test.name || got.MimeType != test.kind || got.Size != 3 {
			t.Errorf("%+v: %q %q", test.in, got.Name, got.MimeType)
		}
	}
}
