package app_test

import (
	"context"
	"strings"
	"testing"
	"time"
)

func TestTheMetricsFollowAReload(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	e := edit(t, w, one)
	// shows asks until the metrics have the line: what is counted is counted after SocialHub has it.
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	ticker := time.NewTicker(10 * time.Millisecond)
	defer ticker.Stop()
	shows := func(line string) {
		t.Helper()
		for {
			metrics := get(t, "http://"+e.Addr()+"/metrics")
			if strings.Contains(metrics, "\nsocialhub_sync_"+line+"\n") {
				return
			}
			select {
			case <-ticker.C:
			case <-ctx.Done():
				t.Fatalf("%s is missing in:\n%s", line, metrics)
			}
		}
	}
	shows(`deliveries_total{answer="done",channel="support",operation="create"} 1`)
	shows(`api_requests_total{answer="done",channel="support",operation="channel"} 1`)
	shows(`items_total{channel="support",result="new",source="items"} 1`)
	shows(`config_last_reload_successful 1`)

	e.refuse(t, usual+strings.ReplaceAll(channels, "support", "other")+"sources: {"+items+"}}")
	shows(`config_last_reload_successful 0`)
	e.refuse(t, usual+"channels: {support: {access_token_file: token}, other: {access_token_file: token}}, sources: {"+items+"}}")
	e.change(t, usual+strings.ReplaceAll(channels, "support", "renamed")+
		"sources: {"+strings.ReplaceAll(items, "channel: support", "channel: renamed")+"}}",
		"channels: added renamed, removed support; sources: changed items")
	shows(`config_last_reload_successful 1`)
	shows(`deliveries_total{answer="done",channel="renamed",operation="create"} 0`)
	if metrics := get(t, "http://"+e.Addr()+"/metrics"); strings.Contains(metrics, `socialhub_sync_polls_total{channel="support"`) ||
		strings.Contains(metrics, `socialhub_sync_deliveries_total{answer="done",channel="support"`) || strings.Contains(metrics, `"other"`) {
		t.Errorf("what is gone is still there:\n%s", metrics)
	}
}
