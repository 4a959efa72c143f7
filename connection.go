package s3kloset

import (
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/s3kloset/s3kloset/internal/bucket"
)

// What follows is about the way to the service.

// WithInsecureSkipVerify accepts any certificate of the server. It defeats TLS.
func WithInsecureSkipVerify(on bool) Option {
	return func(c *config) error { c.client.InsecureSkipVerify = on; return nil }
}

// WithCAFile trusts the PEM certificates of a file besides the system's.
func WithCAFile(file string) Option {
	return func(c *config) error {
		if file == "" {
			return invalid("ca_file", "it is empty")
		}
		c.client.CAFile = file
		return nil
	}
}

// WithClientCertificate shows a certificate to servers that ask for one. Both
// are PEM files, and are read again for each connection, so that they can be
// renewed during a run; an empty keyFile says that the certificate's file holds
// the key too. The key must not be encrypted.
func WithClientCertificate(certFile, keyFile string) Option {
	return func(c *config) error {
		if certFile == "" {
			return invalid("client_cert", "it is empty")
		}
		c.client.ClientCert, c.client.ClientKey = certFile, keyFile
		return nil
	}
}

// WithProxy sends all requests through a proxy,
// {http,https,socks5}://[USER:PASSWORD@]HOST[:PORT], or, if it is "none", through
// no proxy. The default is that of HTTPS_PROXY, HTTP_PROXY and NO_PROXY, which
// never concerns localhost. Credentials of this machine, such as the metadata of
// an instance, are always asked for directly.
func WithProxy(address string) Option {
	return func(c *config) error {
		proxy, err := parseProxy(address)
		if err != nil {
			return invalid("proxy", "%v", err)
		}
		c.client.Proxy = proxy
		return nil
	}
}

// parseProxy shows nothing of the address in its errors: there can be a
// password anywhere in it.
func parseProxy(address string) (*url.URL, error) {
	if address == "none" {
		return bucket.NoProxy, nil
	}
	proxy, err := url.Parse(address)
	if err != nil || proxy.Opaque != "" {
		return nil, errors.New("it is not a URL")
	}
	if !slices.Contains([]string{"http", "https", "socks5"}, proxy.Scheme) {
		return nil, errors.New("its scheme is not http, https or socks5")
	}
	if strings.Trim(proxy.Path, "/") != "" || proxy.RawQuery != "" || proxy.Fragment != "" {
		return nil, errors.New("it has more than a host and a port")
	}
	if _, err := parseEndpoint(proxy.Host); err != nil {
		return nil, errors.New("it names no host, or a malformed one")
	}
	return proxy, nil
}

// WithTransport replaces our HTTP transport, which has no overall timeout and
// fails an exchange that is silent for WithIdleTimeout. CA file, certificates,
// proxy and idle timeout are then the transport's business.
func WithTransport(transport http.RoundTripper) Option {
	return func(c *config) error { c.client.Transport = transport; return nil }
}

// WithIdleTimeout is how long a connection may be silent in the middle of an
// exchange before the attempt fails and is repeated. The default is 60 s.
func WithIdleTimeout(d time.Duration) Option {
	return func(c *config) error {
		if d <= 0 {
			return invalid("idle_timeout", "%v is not positive", d)
		}
		c.client.IdleTimeout = d
		return nil
	}
}

// WithRetries is how often a failed attempt is repeated, 9 by default; 0 is
// never. Delays grow from 0.1 s to 20 s, or are what the server asks for.
func WithRetries(n int) Option {
	return func(c *config) error {
		if n < 0 {
			return invalid("retries", "%d is negative", n)
		}
		if n == 0 {
			n = -1 // zero means "the default" to the client
		}
		c.client.Retries = n
		return nil
	}
}
