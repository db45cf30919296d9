// Command socialhub-sync keeps one SocialHub ticket per interaction in step with its source.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"
	_ "time/tzdata" // CRON_TZ= works on machines without zone files

	"socialhub-sync/app/cli"
	"socialhub-sync/sources/builtin"
)

func main() {
	signalled, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	ctx, cancel := context.WithCancel(context.Background())
	context.AfterFunc(signalled, func() { stop(); cancel() }) // in this order: a second signal ends the process at once
	os.Exit(cli.Run(ctx, os.Args[1:], builtin.Adapters(), cli.Process()))
}
