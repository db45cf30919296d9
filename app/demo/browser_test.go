package demo

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"socialhub-sync/web/browsertest"
)

// browse does something in the browser.
func browse(ctx context.Context, t *testing.T, actions ...chromedp.Action[chromedp.Void]) {
	t.Helper()
	browsertest.Do(ctx, t, actions...)
}

// see does something in the browser that has a result.
func see[T any](ctx context.Context, t *testing.T, action chromedp.Action[T]) T {
	t.Helper()
	return browsertest.See(ctx, t, action)
}

// wait waits until a script is true, on whatever page the browser is by then.
func wait(script string) chromedp.Action[chromedp.Void] {
	return func(ctx context.Context, target *chromedp.Target) (none chromedp.Void, err error) {
		look, ended := chromedp.Evaluate[bool]("!!("+script+")"), time.After(time.Minute)
		for {
			// An error may be that of a page that is going.
			there, err := look(ctx, target)
			if there && err == nil {
				return none, nil
			}
			select {
			case <-ctx.Done():
				return none, ctx.Err()
			case <-ended:
				return none, fmt.Errorf("it never was so: %s (%w)", script, cmp.Or(err, errors.New("false to the end")))
			case <-time.After(100 * time.Millisecond):
			}
		}
	}
}
