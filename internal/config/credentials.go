package config

// VendorVariables are the names under which a vendor's key and base URL are read. The first that is set counts.
type VendorVariables struct{ Key, URL []string }

// VendorVariables lists these names for every vendor, in the order in which "auto" tries them.
func (c *Config) VendorVariables() []VendorVariables {
	var all []VendorVariables
	for _, row := range c.VendorRows() {
		all = append(all, VendorVariables{
			Key: append([]string{row.Variable("API_KEY")}, row.KeyAliases...),
			URL: append([]string{row.Variable("API_URL")}, row.URLAliases...),
		})
	}
	return all
}

// ConnectionVariables are the names that Go's HTTP client and certificate store read.
func ConnectionVariables() []string {
	return []string{
		"HTTPS_PROXY", "HTTP_PROXY", "NO_PROXY", "https_proxy", "http_proxy", "no_proxy", "SSL_CERT_FILE", "SSL_CERT_DIR",
	}
}
