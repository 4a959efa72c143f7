// Package s3kloset backs up S3 buckets into Kloset snapshots, restores them
// whole, and keeps Kloset repositories in S3.
//
// [New] makes a handle on a location, and from it come three values that plug
// into Kloset: a [Source] reads a bucket or a folder of it, a [Destination]
// writes one, and a [Store] holds a repository. [Repository] runs the engine
// over them:
//
//	photos, err := s3kloset.New("s3://photos")
//	...
//	backups, err := s3kloset.New("s3://backups/repository")
//	...
//	repo, err := s3kloset.CreateRepository(ctx, backups.Store(), s3kloset.WithPassphrase(passphrase))
//	...
//	report, err := repo.Backup(ctx, photos.Source())
//
// Nothing here is global or prints. The environment is read for proxies and, where
// it is asked for credentials, for these, their region and the authorities to
// trust, as said below, and for nothing else. [Register] alone changes something
// outside of its arguments: the registries of Kloset.
//
// # Locations
//
// A location is s3://BUCKET/PREFIX, or s3://HOST[:PORT]/BUCKET/PREFIX. The first
// name is a host if it has a dot or a port, or is localhost. Where a bucket has
// dots in its name, s3:///BUCKET, [WithBucket] or [WithEndpoint] remove the
// doubt. Hosts of AWS give the region, and the bucket if it is in their name.
// In place of a bucket there may be the ARN of an access point,
// s3://arn:aws:s3:REGION:ACCOUNT:accesspoint/NAME/PREFIX, or its alias; those of
// several regions, of Outposts and of Object Lambda are refused.
// The prefix is plain text. It means a folder: s3://b/foo has the object foo and
// all below foo/, never foobar.
//
// Options can follow as a query, ?region=eu-west-3&concurrency=8. Secrets cannot:
// locations are printed, logged and stored in snapshots.
//
// [FromConfig] makes Options of keys and values, as configuration files have
// them. The README has the table of all keys. Unknown keys and wrong values are
// errors, before any request.
//
// # Credentials
//
// The first of these that is given counts:
//
//  1. [WithAnonymous]: requests are not signed. It excludes all others.
//  2. [WithCredentials]: static keys, with or without a session token.
//  3. [WithCredentialsProvider]: a function that is asked for keys.
//  4. [WithAWSConfig]: the aws.Config that the program has already.
//  5. [WithProfile]: a profile of the shared AWS configuration files.
//  6. The default chain of the AWS SDK: environment, shared configuration, SSO,
//     web identity, the container endpoints of ECS and EKS, the metadata of EC2.
//
// [WithAssumeRole] then assumes a role with them, also with those of a profile
// that are a role's already, at the STS of AWS or at that of [WithSTSEndpoint]. Keys
// that expire are renewed in time. Source, store and destination are handles of
// their own and may each have other credentials.
//
// # Keys
//
// Kloset has paths, S3 has keys, and not every key is a path. Each object has
// one path all the same, "/" and its key, which for ordinary keys says it all.
// Components that no path can have are escaped: an empty one is %2F, . is
// %2E, .. is %2E%2E, a % that begins one is %25, and bytes that are no UTF-8
// are %=XX. An object whose key is also a folder, a beside a/b, is /a/%. No
// other % means anything. A restore undoes this for what a Source has stored,
// and takes the paths of other importers as they are.
//
// # Metadata
//
// [Metadata] is what S3 knows of an object beside key, bytes, size and time:
// headers, user metadata, tags, storage class, checksums, parts, encryption,
// object lock. It travels in the ExtendedAttributes of the object's record, as
// strings s3.NAME=VALUE, and comes back with the same request that writes the
// object. Encryption and locks are recorded, and come back only with
// [WithRestoredEncryption] and [WithRestoredLock]. Access control lists, older
// versions and settings of the bucket are not part of a backup.
//
// # Accounting
//
// In each run, [Counts] add up: every object that was listed is stored, unchanged,
// skipped by a rule of the caller, gone before it was read, or failed. An
// object that fails does not end the run, and the run then returns an error
// with [ErrIncomplete] and the failures. [Warnings] count what could not be
// done as asked and is no loss, by kind and with the first keys. Counts that do
// not add up are [ErrAccounting].
//
// An object is unchanged when key, size, ETag, time, class and, under
// [TagsAlways], tags are those of the snapshot that it is compared with. Its
// body is not read then. S3 lists no headers and has times in whole seconds: an
// object that is backed up, and overwritten with the same bytes and other
// headers, in the very second in which it was written, is taken for unchanged.
//
// # Errors
//
// Every error that comes from a request is an [*OpError], with operation, bucket,
// key, and one of the categories of this package for [errors.Is], such as
// [ErrBucketNotFound] or [ErrAccessDenied]. Errors of a location or an option
// are [ErrInvalidLocation] and [ErrInvalidOption]. Those of a context come as
// they are. No error holds a secret.
//
// Failed attempts are repeated up to [WithRetries] times, with growing delays or
// those that the server asks for; when it asks to slow down, all of the handle
// does. Reads resume where they broke off, from the same state of the object.
//
// # Concurrency and memory
//
// Handles, stores and repositories may be used concurrently; a Source and a
// Destination run once at a time, and are cheap to make. A handle has at most
// [WithConcurrency] requests in flight, from their first byte to the head of the
// answer, those for the locks of a store apart; the bodies of answers are read
// beside them, each on a connection of its own, so there can be more connections
// than that. Each Source, Destination or
// Store has [WithMemoryLimit] bytes of buffers; a Source holds a few hundred
// records beside that. The engine takes about 20 MiB for each unit of
// [WithEngineConcurrency], and 256 MiB for a second when it derives a key from a
// passphrase. So the peak of a backup with all defaults and four units is about
//
//	256 MiB (source) + 256 MiB (store) + 4 * 20 MiB
//
// and less for small buckets. All goroutines of a run have ended when it returns,
// cancelled or not, and its lock and its unfinished uploads are gone, as long as
// the server answers what removes them. An upload whose creation was answered, and
// the answer lost, stays: [Store.CleanUp] removes those of a store.
//
// # Services other than AWS
//
// Set the endpoint, and [WithTLS] to false for http. Services that keep the
// bucket in the host name want [WithVirtualHost], those that refuse the checksum
// headers of 2025 [WithoutChecksums]. [Bucket.Diagnose] tells what a service
// lacks for a role, and what to do about it.
//
// # Networks
//
// All requests go through the proxy of HTTPS_PROXY, or HTTP_PROXY for an endpoint
// of http, unless NO_PROXY has the host or it is this machine. It is read once, as
// in every program that uses net/http: behind a proxy nothing else works, and
// operators set it for all programs. [WithProxy] names another one, or none. What
// gives keys to this machine alone is always asked directly.
//
// The connections to a name with several addresses go to each of them in turn.
//
// [WithCAFile] trusts a private authority besides those of the system, and
// AWS_CA_BUNDLE does where the environment is asked for credentials.
// [WithClientCertificate] is for servers that want one. [WithTransport] replaces
// all of this.
//
// # Kloset without Repository
//
// Source, Destination and Store implement importer.Importer, exporter.Exporter
// and storage.Store of Kloset v1.1.4. The engine calls a backup a success in
// which objects failed: ask [Source.Outcome]. With a MaxConcurrency of 0 it starts
// no workers and waits for ever: set it. An example shows the whole way.
//
// # Stability
//
// Snapshots and stores that a released version wrote stay readable. A Store has
// the layout of the existing S3 integration of plakar: each opens what the
// other wrote, but for the packfiles that the existing one put into an archive,
// which only ours reads, once they are out of it. Names in Go may change before version 1.0.
package s3kloset
