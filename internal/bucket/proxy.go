package bucket

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/netip"
	"net/url"
)

// NoProxy is the Config.Proxy of connections that go straight to the server,
// whatever the environment says.
var NoProxy = &url.URL{}

// proxyFunc names the proxy for a request, as http.Transport wants it.
type proxyFunc func(*http.Request) (*url.URL, error)

func (cfg *Config) proxy() proxyFunc {
	switch cfg.Proxy {
	case nil:
		return http.ProxyFromEnvironment
	case NoProxy:
		return nil
	}
	return http.ProxyURL(cfg.Proxy)
}

// exceptHere leaves out what only this machine can reach: the metadata of an
// instance and the credentials endpoint of a container would be those of the
// proxy, or of nobody.
func (p proxyFunc) exceptHere() proxyFunc {
	if p == nil {
		return nil
	}
	return func(r *http.Request) (*url.URL, error) {
		if isHere(r.URL.Hostname()) {
			return nil, nil
		}
		return p(r)
	}
}

// metadataIPv6 holds the IPv6 addresses of the metadata service and of the
// credentials of EKS pods.
// https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/configuring-instance-metadata-service.html
var metadataIPv6 = netip.MustParsePrefix("fd00:ec2::/32")

func isHere(host string) bool {
	addr, err := netip.ParseAddr(host)
	if err != nil {
		return host == "localhost"
	}
	return addr.IsLoopback() || addr.IsLinkLocalUnicast() || metadataIPv6.Contains(addr)
}

// IsProxy tells whether err is of the proxy, and not of the service behind it.
func IsProxy(err error) bool {
	var op *net.OpError
	var failed *OpError
	return errors.Is(err, errProxyAuth) || (errors.As(err, &op) && (op.Op == "proxyconnect" || op.Op == socksConnect)) ||
		(errors.As(err, &failed) && failed.Status == http.StatusProxyAuthRequired)
}

var errProxyAuth = errors.New("the proxy asks for a user and a password, or knows others")

// refusalOfProxy tells the answer that another attempt does not change from
// those that may pass. It is asked for tunnels only; in plain the answer of the
// proxy comes in place of the server's.
func refusalOfProxy(_ context.Context, _ *url.URL, _ *http.Request, response *http.Response) error {
	if response.StatusCode == http.StatusProxyAuthRequired {
		return errProxyAuth
	}
	return nil
}

// socksConnect is the operation of a net.OpError in which a SOCKS proxy did not
// join us with the server.
const socksConnect = "socks connect"

// refusedBySOCKS tells refusals of our name and password, or of having none,
// which are final. It compares texts, because net/http exports no such errors.
func refusedBySOCKS(err error) bool {
	var op *net.OpError
	if !errors.As(err, &op) || op.Op != socksConnect {
		return false
	}
	text := op.Err.Error()
	return text == "username/password authentication failed" || text == "no acceptable authentication methods"
}
