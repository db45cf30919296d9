//go:build crashpoints

package store

import (
	"database/sql/driver"

	"socialhub-sync/torture/crashpoint"
)

func instrument(c driver.Connector) driver.Connector { return crashpoint.Connector(c) }
