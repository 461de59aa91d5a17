package config

// VendorVariables are the names under which a vendor's key and base URL are read. The first that is set counts.
type VendorVariables struct{ Key, URL []string }

// VendorVariables lists these names for every vendor, in the order of the documents.
func (c *Config) VendorVariables() []VendorVariables {
	var all []VendorVariables
	eachSpec(func(s spec) {
		if s.key == "" {
			return
		}
		v := VendorVariables{URL: append([]string{s.name}, s.aliases...)}
		eachSpec(func(key spec) {
			if key.name == s.key {
				v.Key = append([]string{key.name}, key.aliases...)
			}
		})
		all = append(all, v)
	})
	return all
}

// ConnectionVariables are the names that Go's HTTP client and certificate store read.
func ConnectionVariables() []string {
	return []string{
		"HTTPS_PROXY", "HTTP_PROXY", "NO_PROXY", "https_proxy", "http_proxy", "no_proxy", "SSL_CERT_FILE", "SSL_CERT_DIR",
	}
}
