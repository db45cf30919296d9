package demo

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"

	"socialhub-sync/web/browsertest"
)

// In a browser, with the keyboard alone: a question arrives, somebody answers it in the inbox, the answer is at the shop
// and confirmed, and it does not come back as a ticket.
func TestAnAnswerThatIsWrittenInABrowserGoesToTheShopAndBack(t *testing.T) {
	t.Parallel()
	d := open(t)
	start(t, d, "127.0.0.1:0")
	if _, err := d.arrival(t.Context()); err != nil {
		t.Fatal(err)
	}
	before := len(d.Box.Tickets(d.shop.ID)) + len(d.Box.Tickets(d.blog.ID))
	luca := ticket(t, d, d.shop, lucas)
	ctx := browsertest.New(t)
	offer := func(action string) chromedp.CSS { return chromedp.CSS("#o-" + luca.ID + "-" + action) }
	browse(ctx, t, chromedp.Navigate(d.Inbox), wait(fmt.Sprintf(`document.getElementById("o-%s-reply")`, luca.ID)),
		chromedp.Focus(offer("reply")), chromedp.KeyEvent("\r"), chromedp.WaitVisible(chromedp.ID("text")),
		wait(`document.activeElement.id === "text"`), chromedp.KeyEvent("It does, and the <screw> is free."), chromedp.KeyEvent("\t"),
		wait(`document.activeElement.textContent === "Send"`), chromedp.KeyEvent("\r"),
		wait(fmt.Sprintf(`location.hash === "#t-%[1]s" && document.querySelector("#t-%[1]s .deed[data-state=confirmed]")`, luca.ID)))
	answer := answered(t, d)
	if text := see(ctx, t, chromedp.Text(chromedp.CSS("#t-"+ticket(t, d, d.shop, answer).ID))); !strings.Contains(text, "the <screw> is free.") ||
		!strings.Contains(text, "our own post") || strings.Contains(text, "Done") {
		t.Errorf("the answer is shown as %q", text)
	}
	browsertest.Photograph(ctx, t, d.Inbox, "circle")
	noneMore(t, d, before+1)

	// A button works in its place on the page.
	browse(ctx, t, chromedp.Navigate(d.Inbox), chromedp.Click(offer(voucher)),
		wait(fmt.Sprintf(`document.querySelector("#t-%s .deed[data-state=sent]")`, luca.ID)))
	if !until(t.Context(), func() bool {
		lines := readLines[sent](t, filepath.Join(d.dir, "vouchers.jsonl"))
		return len(lines) == 1 && lines[0].Review == lucas
	}) {
		t.Error("there is no voucher")
	}
	// A deletion is asked for twice, and the next poll shows it.
	browse(ctx, t, chromedp.Click(offer("delete")), chromedp.WaitVisible(chromedp.CSS("button.danger")), chromedp.Click(chromedp.CSS("button.danger")),
		wait(fmt.Sprintf(`document.getElementById("t-%[1]s") && !document.getElementById("t-%[1]s").innerText.includes("burrs")`, luca.ID)))
	if lines := readLines[review](t, d.Reviews()); !lines[len(lines)-1].Deleted || lines[len(lines)-1].NetworkItemID != lucas {
		t.Errorf("the shop has %+v", lines[len(lines)-1])
	}
}

func TestThePagesWorkWithoutJavaScript(t *testing.T) {
	t.Parallel()
	d := newTeam(t)
	id := d.call("POST", "/inbox/tickets", `{"interaction":{"networkItemId":"review-1","message":"Nice"}}`, 201).ID
	ctx := browsertest.New(t)
	press := func(text string) chromedp.Action[chromedp.Void] {
		return chromedp.Click(chromedp.Search(fmt.Sprintf("//main//*[self::a or self::button][normalize-space()=%q]", text)))
	}
	browse(ctx, t, chromedp.Func(func(ctx context.Context, _ *chromedp.Target) error {
		_, err := chromedp.Call(ctx, emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: true})
		return err
	}), chromedp.Navigate(d.url+"/ui/"+d.channel.ID+"/inbox"), press("Reply"), chromedp.WaitVisible(chromedp.ID("text")),
		chromedp.SendKeys(chromedp.ID("text"), "Thank you"), chromedp.Click(chromedp.CSS("input[value=public]")), press("Send"))
	d.taken(1)
	browse(ctx, t, chromedp.WaitVisible(chromedp.ID("tickets")), press("Highlight"))
	d.taken(2)
	browse(ctx, t, chromedp.WaitVisible(chromedp.ID("tickets")), press("Delete"), chromedp.WaitVisible(chromedp.CSS("button.danger")), press("Delete"))
	d.taken(3)
	browse(ctx, t, chromedp.WaitVisible(chromedp.ID("tickets")), press("Reply with a template"), chromedp.WaitVisible(chromedp.CSS(".templates a")), chromedp.Click(chromedp.CSS(".templates a")),
		chromedp.WaitVisible(chromedp.ID("preview")))
	if len(d.Actions(d.channel.ID)) != 3 || d.Actions(d.channel.ID)[0].TicketID != id {
		t.Errorf("%+v", d.Actions(d.channel.ID))
	}
}
