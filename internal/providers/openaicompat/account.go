package openaicompat

import (
	"github.com/exai-mcp/exai-mcp/internal/config"
	"github.com/exai-mcp/exai-mcp/internal/providers"
)

// Account is what the provider of a vendor is made of.
type Account struct {
	Vendor         config.Vendor
	Timeouts       config.TimeoutConfig
	Models         []providers.Model // the catalogue's rows for the vendor
	MaxAnswerBytes int64             // 0 means 8 MiB
	Version        string            // of the program, for the User-Agent
	Quote          bool              // errors may quote for the log what the vendor said, which may repeat the prompt
	DialContext    DialFunc
}

// Client returns a client of the account with a connection pool of its own, at the vendor's default address if none is
// set. It fails if the address is invalid.
func (a Account) Client(d Dialect, defaultURL string) (*Client, error) {
	if a.Vendor.APIURL == "" {
		a.Vendor.APIURL = defaultURL
	}
	return New(Options{
		Dialect: d, Key: a.Vendor.APIKey, BaseURL: a.Vendor.APIURL, Timeouts: a.Timeouts,
		MaxAnswerBytes: a.MaxAnswerBytes, Version: a.Version, Quote: a.Quote, DialContext: a.DialContext,
	})
}
