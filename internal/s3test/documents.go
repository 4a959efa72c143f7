package s3test

import (
	"encoding/json"
	"net/http"
	"slices"
	"strings"
)

// documentKind is a part of a bucket's configuration that is kept as it came and does nothing.
type documentKind struct {
	flag   string // of the query
	root   string // of the XML; "" is JSON
	get    string // names of the operations; "" if there is none
	put    string
	delete string
	list   string // of kinds that have several documents, named by id
	listed string // root of the list
	unset  string // error code, or "" if there is a default
	empty  string // content of the default
}

var documentKinds = []documentKind{
	{flag: "tagging", root: "Tagging", get: "GetBucketTagging", put: "PutBucketTagging", delete: "DeleteBucketTagging",
		unset: "NoSuchTagSet"},
	{flag: "policy", get: "GetBucketPolicy", put: "PutBucketPolicy", delete: "DeleteBucketPolicy",
		unset: "NoSuchBucketPolicy"},
	{flag: "lifecycle", root: "LifecycleConfiguration", get: "GetBucketLifecycleConfiguration",
		put: "PutBucketLifecycleConfiguration", delete: "DeleteBucketLifecycle", unset: "NoSuchLifecycleConfiguration"},
	{flag: "cors", root: "CORSConfiguration", get: "GetBucketCors", put: "PutBucketCors", delete: "DeleteBucketCors",
		unset: "NoSuchCORSConfiguration"},
	{flag: "encryption", root: "ServerSideEncryptionConfiguration", get: "GetBucketEncryption",
		put: "PutBucketEncryption", delete: "DeleteBucketEncryption", unset: "ServerSideEncryptionConfigurationNotFoundError"},
	{flag: "website", root: "WebsiteConfiguration", get: "GetBucketWebsite", put: "PutBucketWebsite",
		delete: "DeleteBucketWebsite", unset: "NoSuchWebsiteConfiguration"},
	{flag: "ownershipControls", root: "OwnershipControls", get: "GetBucketOwnershipControls",
		put: "PutBucketOwnershipControls", delete: "DeleteBucketOwnershipControls", unset: "OwnershipControlsNotFoundError"},
	{flag: "publicAccessBlock", root: "PublicAccessBlockConfiguration", get: "GetPublicAccessBlock",
		put: "PutPublicAccessBlock", delete: "DeletePublicAccessBlock", unset: "NoSuchPublicAccessBlockConfiguration"},
	{flag: "replication", root: "ReplicationConfiguration", get: "GetBucketReplication", put: "PutBucketReplication",
		delete: "DeleteBucketReplication", unset: "ReplicationConfigurationNotFoundError"},
	{flag: "notification", root: "NotificationConfiguration", get: "GetBucketNotificationConfiguration",
		put: "PutBucketNotificationConfiguration"},
	{flag: "logging", root: "BucketLoggingStatus", get: "GetBucketLogging", put: "PutBucketLogging"},
	{flag: "accelerate", root: "AccelerateConfiguration", get: "GetBucketAccelerateConfiguration",
		put: "PutBucketAccelerateConfiguration"},
	{flag: "requestPayment", root: "RequestPaymentConfiguration", get: "GetBucketRequestPayment",
		put: "PutBucketRequestPayment", empty: "<Payer>BucketOwner</Payer>"},
	severalDocuments("inventory", "InventoryConfiguration", "BucketInventoryConfiguration", "ListInventoryConfigurationsResult"),
	severalDocuments("analytics", "AnalyticsConfiguration", "BucketAnalyticsConfiguration",
		"ListBucketAnalyticsConfigurationResult"),
	severalDocuments("metrics", "MetricsConfiguration", "BucketMetricsConfiguration", "ListMetricsConfigurationsResult"),
	severalDocuments("intelligent-tiering", "IntelligentTieringConfiguration", "BucketIntelligentTieringConfiguration",
		"ListBucketIntelligentTieringConfigurationsResult"),
}

func severalDocuments(flag, root, name, listed string) documentKind {
	return documentKind{
		flag: flag, root: root, unset: "NoSuchConfiguration", listed: listed,
		get: "Get" + name, put: "Put" + name, delete: "Delete" + name, list: "List" + name + "s",
	}
}

// documentRoutes makes a route of every operation on a document.
func documentRoutes() []route {
	var all []route
	add := func(method, flags, op, params string) {
		if op != "" {
			all = append(all, route{level: onBucket, method: method, flags: flags, op: op, params: params})
		}
	}
	for _, kind := range documentKinds {
		flags := kind.flag
		if kind.list != "" {
			flags += " id"
		}
		add(http.MethodGet, flags, kind.get, "")
		add(http.MethodPut, flags, kind.put, "")
		add(http.MethodDelete, flags, kind.delete, "")
		add(http.MethodGet, kind.flag, kind.list, "continuation-token")
	}
	return all
}

// documentOperations performs what documentRoutes name.
var documentOperations = makeDocumentOperations()

func makeDocumentOperations() map[string]operation {
	all := map[string]operation{"GetBucketPolicyStatus": (*exchange).getBucketPolicyStatus}
	for _, kind := range documentKinds {
		all[kind.get] = func(x *exchange) error { return x.getDocument(kind) }
		all[kind.put] = func(x *exchange) error { return x.putDocument(kind) }
		all[kind.delete] = func(x *exchange) error { return x.deleteDocument(kind) }
		all[kind.list] = func(x *exchange) error { return x.listDocuments(kind) }
	}
	delete(all, "")
	return all
}

func (x *exchange) documentName(kind documentKind) string {
	return kind.flag + "\x00" + x.query.Get("id")
}

func (x *exchange) getDocument(kind documentKind) error {
	x.bucket.mu.RLock()
	body, ok := x.bucket.documents[x.documentName(kind)]
	x.bucket.mu.RUnlock()
	if !ok {
		if kind.unset != "" {
			return failure(kind.unset).with("BucketName", x.bucket.name)
		}
		return x.sendXML(newDocument(kind.root, func(d *document) { d.buf.WriteString(kind.empty) }))
	}
	contentType := "application/xml"
	if kind.root == "" {
		contentType = "application/json"
	}
	x.setHeader("Content-Type", contentType)
	x.setHeader("Content-Length", itoa(len(body)))
	x.w.WriteHeader(http.StatusOK)
	x.w.Write(body)
	return nil
}

func (x *exchange) putDocument(kind documentKind) error {
	body, err := x.readDocument()
	if err != nil {
		return err
	}
	if err := kind.check(body); err != nil {
		return err
	}
	x.bucket.mu.Lock()
	x.bucket.documents[x.documentName(kind)] = body
	if kind.flag == "policy" {
		x.bucket.public = grantsPublicRead(body, x.bucket.name)
	}
	x.bucket.mu.Unlock()
	if kind.root == "" || kind.flag == "tagging" {
		return x.sendNothing(http.StatusNoContent)
	}
	return x.sendNothing(http.StatusOK)
}

func (kind documentKind) check(body []byte) error {
	if len(body) == 0 {
		return failure("MissingRequestBodyError")
	}
	if kind.root == "" {
		if !json.Valid(body) {
			return failure("MalformedPolicy")
		}
		return nil
	}
	if kind.flag == "tagging" {
		_, err := parseTagging(body, maxBucketTags)
		return err
	}
	var anything struct{}
	return parseXML(body, kind.root, &anything)
}

func (x *exchange) deleteDocument(kind documentKind) error {
	x.bucket.mu.Lock()
	defer x.bucket.mu.Unlock()
	name := x.documentName(kind)
	if _, ok := x.bucket.documents[name]; !ok && kind.list != "" {
		return failure(kind.unset)
	}
	delete(x.bucket.documents, name)
	if kind.flag == "policy" {
		x.bucket.public = false
	}
	return x.sendNothing(http.StatusNoContent)
}

func (x *exchange) listDocuments(kind documentKind) error {
	x.bucket.mu.RLock()
	var names []string
	for name := range x.bucket.documents {
		if strings.HasPrefix(name, kind.flag+"\x00") {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	var bodies [][]byte
	for _, name := range names {
		bodies = append(bodies, x.bucket.documents[name])
	}
	x.bucket.mu.RUnlock()
	return x.sendXML(newDocument(kind.listed, func(d *document) {
		d.flag("IsTruncated", false)
		for _, body := range bodies {
			d.buf.WriteString(withoutDeclaration(string(body)))
		}
	}))
}

// withoutDeclaration is a document that can stand inside of another.
func withoutDeclaration(body string) string {
	body = strings.TrimSpace(body)
	if strings.HasPrefix(body, "<?xml") {
		_, body, _ = strings.Cut(body, "?>")
	}
	return body
}
