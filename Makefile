.PHONY: build package test bench ci torture

# One static binary; `go version -m socialhub-sync` tells what it was built from.
build:
	CGO_ENABLED=0 go build -trimpath -o socialhub-sync .

# What a release consists of, in dist: `make package VERSION=1.2.3`.
package:
	scripts/package "$(VERSION)"

test:
	scripts/test

# The long forms of the tests that kill the program and take away what it needs; about an hour. Each says its figures.
torture:
	TORTURE=long go test ./torture -count=1 -v -timeout 120m

# Prints the figures of docs/performance.md; wants an idle machine, about ten minutes and 4 GB of disk.
bench:
	go test ./bench -run '^$$' -bench . -benchtime 1x -timeout 60m

ci:
	bash .ci/run
