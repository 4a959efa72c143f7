package s3kloset

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/s3kloset/s3kloset/internal/bucket"
)

const (
	// firstPage is how many keys the first request asks for: a full page, so
	// that there is something to look at.
	firstPage = 1000
	// maxSkew is how far the clock of a request may be off.
	// https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html
	maxSkew = 15 * time.Minute
)

// reach makes the first request, of which the next checks read. It is a LIST,
// because its answer has a body with the reason of a refusal.
func (x *doctor) reach(ctx context.Context) Finding {
	x.page, x.contact = x.probe.Page(ctx, x.bucket.key(""), "", firstPage)
	host := x.bucket.host()
	met := x.probe.Contact()
	var failed *OpError
	switch {
	case x.contact == nil:
	case bucket.AtSTS(x.contact):
		return untested("STS gives no keys to sign a request with")
	case isTLS(x.contact), x.wantsTLS():
		return fine("%s answers", host)
	case errors.Is(x.contact, ErrCredentials) && !met.Answered:
		return untested("there are no credentials to sign a request with")
	case errors.Is(x.contact, ErrUnreachable):
		return unreachable(host, x.contact)
	case errors.Is(x.contact, ErrListing), errors.As(x.contact, &failed) && failed.Code == "NotFound":
		// What is missing in an S3 has a name: NoSuchBucket.
		return broken(host+" answers, but not as an S3 does", "correct the endpoint and its port: it may be that of a web page or a console").because(x.contact)
	case errors.As(x.contact, &failed) && failed.Status >= http.StatusInternalServerError:
		return broken(fmt.Sprintf("%s answers %d", host, failed.Status), "see to the server, or try again later").because(x.contact)
	case errors.As(x.contact, &failed) && failed.Code == "":
		return broken(host+" answers, but not as an S3 does", "correct the endpoint and its port").because(x.contact)
	}
	if met.Server == "" {
		return fine("%s answers", host)
	}
	return fine("%s answers, a server called %s", host, met.Server)
}

func unreachable(host string, err error) Finding {
	var dns *net.DNSError
	var timeout net.Error
	switch {
	case bucket.IsProxy(err):
		return broken("the proxy on the way to "+host+" does not let us through",
			"correct WithProxy (proxy), or HTTPS_PROXY and NO_PROXY of the environment").because(err)
	case errors.As(err, &dns) && dns.IsNotFound:
		return broken("there is no host "+dns.Name, "correct the endpoint; a bucket whose name is part of the host may need WithVirtualHost (virtual_host) off").because(err)
	case errors.As(err, &dns):
		return broken("the name "+dns.Name+" cannot be resolved", "see to the name service").because(err)
	case errors.As(err, &timeout) && timeout.Timeout():
		return broken(host+" does not answer in time", "see to firewalls, proxies and the port").because(err)
	}
	return broken(host+" takes no connection", "see whether the server is running, and correct the endpoint and its port").because(err)
}

// wantsTLS tells a plain request that was refused by a server which speaks
// TLS: net/http and others answer it with a 400 that is no S3.
func (x *doctor) wantsTLS() bool {
	var failed *OpError
	return x.isPlain() && errors.As(x.contact, &failed) && failed.Status == http.StatusBadRequest && !isCoded(failed.Code)
}

// isCoded tells the error codes of S3 from the text of a status, which the SDK
// puts in their place.
func isCoded(code string) bool {
	return code != "" && code != "BadRequest" && !strings.Contains(code, " ")
}

func (x *doctor) isPlain() bool {
	return strings.HasPrefix(x.bucket.cfg.client.Endpoint, "http://")
}

// isTLS tells errors of the handshake: somebody answered.
func isTLS(err error) bool {
	var (
		verify *tls.CertificateVerificationError
		record tls.RecordHeaderError
		alert  tls.AlertError
	)
	return errors.As(err, &verify) || errors.As(err, &record) || errors.As(err, &alert) || errors.Is(err, http.ErrSchemeMismatch) ||
		bucket.RefusesCertificate(err)
}

// tls tells whether the connection is private and the server is who it says.
func (x *doctor) tls(context.Context) Finding {
	version := x.probe.Contact().TLS
	switch {
	case bucket.AtSTS(x.contact):
		return untested("no connection was made")
	case isTLS(x.contact):
		return handshake(x.contact)
	case x.wantsTLS():
		return broken("the server speaks TLS and was asked without", "use https: WithTLS (use_tls) on").because(x.contact)
	case version == "" && x.isPlain() && isLoopback(x.bucket.cfg.client.Endpoint):
		return fine("plain HTTP, which stays on this machine")
	case version == "" && x.isPlain():
		return degraded("plain HTTP: everybody on the way can read the objects", "bodies are signed, so that they cannot be changed on the way")
	case version == "":
		return untested("no connection was made")
	case x.bucket.cfg.client.InsecureSkipVerify:
		return degraded(version+", with a certificate that nobody looks at", "the option asks for it; WithCAFile (ca_file) trusts one certificate instead of all")
	}
	return fine("%s", version)
}

func handshake(err error) Finding {
	var (
		unknown x509.UnknownAuthorityError
		name    x509.HostnameError
		invalid x509.CertificateInvalidError
		record  tls.RecordHeaderError
	)
	switch {
	case errors.As(err, &unknown):
		return broken("the certificate of the server is signed by nobody that this machine trusts",
			"trust it with WithCAFile (ca_file)").because(err)
	case errors.As(err, &name):
		return broken("the certificate of the server is for another name", "use the name in the certificate as the endpoint").because(err)
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		return broken("the certificate of the server is out of its time", "renew it, or set the clock of this machine").because(err)
	case errors.As(err, &record), errors.Is(err, http.ErrSchemeMismatch):
		return broken("the server does not speak TLS", "use http: WithTLS (use_tls) off").because(err)
	}
	if bucket.RefusesCertificate(err) {
		return broken("the server wants a certificate of us, and takes none that it is shown",
			"show one that it knows with WithClientCertificate (client_cert, client_key)").because(err)
	}
	return broken("TLS fails", "see the error").because(err)
}

// clock compares the server's clock with ours.
func (x *doctor) clock(context.Context) Finding {
	met := x.probe.Contact()
	off := fmt.Sprintf("our clock is %s", difference(met.Skew))
	var failed *OpError
	switch {
	case errors.As(x.contact, &failed) && failed.Code == "RequestTimeTooSkewed":
		return broken("the server refuses our time", "set the clock of this machine, best by NTP").because(x.contact)
	case !met.Dated:
		return untested("the answer has no date")
	case met.Skew.Abs() > maxSkew:
		return degraded(off, "requests are signed with the server's time; set the clock of this machine")
	}
	return fine("%s", off)
}

func difference(skew time.Duration) string {
	off := skew.Abs().Round(time.Second)
	switch {
	case off <= 2*time.Second:
		return "right"
	case skew > 0:
		return off.String() + " behind the server's"
	}
	return off.String() + " ahead of the server's"
}

// who tells whether the server knows us.
func (x *doctor) who(ctx context.Context) Finding {
	if bucket.AtSTS(x.contact) {
		// Whoever we are, STS would be asked for the keys again.
		return x.withoutRole(x.contact)
	}
	identity, err := x.probe.Identity(ctx)
	x.identity = identity
	switch {
	case errors.Is(x.contact, ErrCredentials):
		return x.unknown(x.contact)
	case identity.Source == "":
		return x.unknown(err)
	case err != nil:
		return fine("%s; STS cannot be asked for more: %v", identity, err)
	}
	return fine("%s", identity)
}

// withoutRole is the finding of an STS that gives no keys.
func (x *doctor) withoutRole(err error) Finding {
	of := "AWS"
	if named := x.bucket.cfg.client.Credentials.STSEndpoint; named != "" {
		of = named
	}
	if errors.Is(err, ErrUnreachable) {
		return broken("the STS of "+of+", which is to give the keys of the role, cannot be reached",
			"see to the network, and name that of another service with WithSTSEndpoint (sts_endpoint)").because(err)
	}
	return broken("the STS of "+of+" does not give the keys of the role",
		"correct the role (role_arn, external_id), the keys that assume it, the region, and the STS (sts_endpoint), as its error says").because(err)
}

// unknown says what is wrong with the credentials.
func (x *doctor) unknown(err error) Finding {
	var failed *OpError
	code := ""
	if errors.As(err, &failed) {
		code = failed.Code
	}
	switch code {
	case "InvalidAccessKeyId", "XAdminUserNotFound":
		return broken(fmt.Sprintf("the server does not know the access key %s", x.identity.AccessKey),
			"correct the access key; it may belong to another endpoint").because(err)
	case "SignatureDoesNotMatch":
		return broken("the secret key does not belong to the access key "+x.identity.AccessKey, "correct the secret key").because(err)
	case "ExpiredToken", "TokenRefreshRequired":
		return broken("the credentials have expired", "get new ones from "+x.identity.Source).because(err)
	case "InvalidToken", "InvalidTokenId":
		return broken("the session token is wrong or missing", "correct the session token, or get new credentials").because(err)
	}
	if x.identity.Source == "" {
		return broken("there are no credentials",
			"give access_key and secret_access_key (WithCredentials), a profile (WithProfile), or ask for none (WithAnonymous)").because(err)
	}
	return broken("the server does not take our credentials", "see the error of the server").because(err)
}

// where tells whether the bucket is there, and in which region.
func (x *doctor) where(context.Context) Finding {
	name := x.bucket.location.bucket
	configured, found := x.bucket.cfg.client.Region, x.probe.Region()
	switch {
	case errors.Is(x.contact, ErrBucketNotFound):
		x.missing = true
		if slices.Contains(bothWrite, x.role) && x.bucket.cfg.destination.createBucket {
			return degraded("there is no bucket "+name, "it is made before the first write").because(x.contact)
		}
		return broken("there is no bucket "+name, "correct its name, or make it; WithCreateBucket (create_bucket) does so when needed").because(x.contact)
	case errors.Is(x.contact, ErrWrongRegion):
		return broken("requests are signed for "+found+", which is another region", "set WithRegion (region) to the one that the server names").because(x.contact)
	case configured != "" && found != configured:
		return degraded(fmt.Sprintf("the bucket is in %s, not in %s", found, configured),
			"requests go on to "+found+"; WithRegion (region) saves the first one at each start")
	}
	return fine("bucket %s, signed for %s", name, found)
}

// misread finds a key that a listing cannot hold.
func (x *doctor) misread() (key string, found bool) {
	i := slices.IndexFunc(x.page.Entries, func(e bucket.Entry) bool { return strings.ContainsRune(e.Key, utf8.RuneError) })
	if i < 0 {
		return "", false
	}
	return x.page.Entries[i].Key, true
}

// list tells whether keys can be listed.
func (x *doctor) list(context.Context) Finding {
	switch {
	case x.contact == nil:
		x.pick()
		more := ""
		if x.page.More {
			more = " and more"
		}
		if key, misread := x.misread(); misread && x.role != RoleDestination {
			return degraded(fmt.Sprintf("the server lists a key with a character that XML cannot hold as %q", key),
				"copy such objects to other keys: a backup cannot read them, and reports them one by one")
		}
		return fine("%d objects%s", len(x.page.Entries), more)
	case errors.Is(x.contact, ErrAccessDenied) && x.role == RoleDestination:
		f := degraded("listing is refused", "it is not needed: whether the bucket is there shows with the first write")
		return f.because(x.contact)
	}
	return x.failed("listing", x.contact)
}
