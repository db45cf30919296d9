package cli

import (
	"socialhub-sync/app/config"
	"socialhub-sync/app/config/schema"
)

type configCommand struct {
	Schema configSchemaCommand `cmd:"" help:"Print the JSON schema of the config file, with which editors complete and check it."`
}

type configSchemaCommand struct{}

func (configSchemaCommand) Run(e *env) error {
	text, err := schema.JSON(config.Reference(e.adapters))
	if err != nil {
		return err
	}
	_, err = e.Out.Write(text)
	return err
}
