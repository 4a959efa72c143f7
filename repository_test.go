package s3kloset

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/PlakarKorp/kloset/connectors/storage"
	"github.com/PlakarKorp/kloset/encryption"
	"github.com/PlakarKorp/kloset/hashing"
	"github.com/s3kloset/s3kloset/internal/klosettest"
	"github.com/s3kloset/s3kloset/internal/s3test"
)

func TestCreateAndOpenEncrypted(t *testing.T) {
	quiet(t)
	server := s3test.Start(t)
	server.CreateBucket("repo")
	store := handle(t, server, "s3://repo/kloset").Store()
	ctx := t.Context()

	repo, err := CreateRepository(ctx, store, WithPassphrase([]byte("correct horse")))
	if err != nil {
		t.Fatal(err)
	}
	source := klosettest.NewMemImporter([]klosettest.Entry{klosettest.File("/secret", []byte("plain words"))})
	report, err := repo.Backup(ctx, source)
	if err != nil {
		t.Fatal(err)
	}
	if err := repo.Close(); err != nil {
		t.Fatal(err)
	}
	for _, object := range server.Bucket("repo").Dump() {
		if bytes.Contains(object.Body, []byte("plain words")) || bytes.Contains(object.Body, []byte("secret")) {
			t.Errorf("%s is not encrypted", object.Key)
		}
	}

	for name, opts := range map[string][]RepositoryOption{
		"wrong":   {WithPassphrase([]byte("wrong horse"))},
		"missing": nil,
		"plain":   {WithPlaintext()},
		"empty":   {WithPassphraseFunc(func() ([]byte, error) { return nil, nil })},
	} {
		if repo, err := OpenRepository(ctx, store, opts...); !errors.Is(err, ErrPassphrase) || repo != nil {
			t.Errorf("%s passphrase: %v, error %v", name, repo, err)
		}
	}
	asked := errors.New("no terminal")
	if _, err := OpenRepository(ctx, store, WithPassphraseFunc(func() ([]byte, error) { return nil, asked })); !errors.Is(err, asked) {
		t.Errorf("the error of the function is lost: %v", err)
	}

	calls := 0
	repo, err = OpenRepository(ctx, store, WithPassphraseFunc(func() ([]byte, error) {
		calls++
		return []byte("correct horse"), nil
	}))
	if err != nil {
		t.Fatal(err)
	}
	defer repo.Close()
	if calls != 1 {
		t.Errorf("asked %d times for the passphrase", calls)
	}
	target := klosettest.NewMemExporter()
	if _, err := repo.Restore(ctx, report.Snapshot.ID, target); err != nil {
		t.Fatal(err)
	}
	if err := repo.Check(ctx, ""); err != nil {
		t.Errorf("check: %v", err)
	}
}

func TestCreateWhereThereIsARepository(t *testing.T) {
	server := s3test.Start(t)
	server.CreateBucket("repo")
	for name, store := range map[string]storage.Store{
		"s3":     handle(t, server, "s3://repo").Store(),
		"memory": klosettest.NewMemStore(),
	} {
		t.Run(name, func(t *testing.T) {
			createPlain(t, store)
			repo, err := CreateRepository(t.Context(), store, WithPlaintext())
			if !errors.Is(err, ErrAlreadyExists) || repo != nil {
				t.Errorf("second create: %v, error %v", repo, err)
			}
			again, err := OpenRepository(t.Context(), store)
			if err != nil {
				t.Fatalf("open after that: %v", err)
			}
			again.Close()
		})
	}
}

// forgetfulStore has another configuration than it was given.
type forgetfulStore struct{ *klosettest.MemStore }

func (forgetfulStore) Open(context.Context) ([]byte, error) { return []byte("another"), nil }

func TestCreateOnAStoreThatForgets(t *testing.T) {
	repo, err := CreateRepository(t.Context(), forgetfulStore{klosettest.NewMemStore()}, WithPlaintext())
	if !errors.Is(err, ErrDamaged) || repo != nil {
		t.Errorf("create: %v, error %v, want ErrDamaged", repo, err)
	}
}

// TestCreateWithALostAnswer: the store says that there is a repository, and it
// is the one that was just created.
func TestCreateWithALostAnswer(t *testing.T) {
	server := s3test.Start(t)
	server.CreateBucket("repo")
	server.Faults().Add(s3test.Fault{Op: "PutObject", Key: "CONFIG", Action: s3test.LoseAnswer()})
	createPlain(t, handle(t, server, "s3://repo").Store())
	server.Faults().VerifyAll(t)
}

func TestOpenWhereThereIsNoRepository(t *testing.T) {
	server := s3test.Start(t)
	server.CreateBucket("repo")
	server.CreateBucket("garbage").Put("CONFIG", []byte("hello"), s3test.Properties{})
	server.CreateBucket("large").Put("CONFIG", make([]byte, maxConfig+1), s3test.Properties{})
	tests := []struct {
		name  string
		store storage.Store
		want  error
	}{
		{"s3", handle(t, server, "s3://repo").Store(), ErrNoRepository},
		{"s3 as a missing file", handle(t, server, "s3://repo").Store(), fs.ErrNotExist},
		{"memory", klosettest.NewMemStore(), ErrNoRepository},
		{"no bucket", handle(t, server, "s3://nowhere").Store(), ErrBucketNotFound},
		{"too large for a configuration", handle(t, server, "s3://large").Store(), ErrNoRepository},
		{"not a configuration", handle(t, server, "s3://garbage").Store(), ErrDamaged},
	}
	for _, test := range tests {
		if repo, err := OpenRepository(t.Context(), test.store); !errors.Is(err, test.want) || repo != nil {
			t.Errorf("%s: %v, error %v, want %v", test.name, repo, err, test.want)
		}
	}
}

// TestPlaintextIsNotOpenedByPassphrase: whoever can write to the store could
// swap the configuration for one that encrypts nothing.
func TestPlaintextIsNotOpenedByPassphrase(t *testing.T) {
	store := klosettest.NewMemStore()
	createPlain(t, store)
	if _, err := OpenRepository(t.Context(), store, WithPassphrase([]byte("p"))); !errors.Is(err, ErrPassphrase) {
		t.Errorf("opened with a passphrase: %v", err)
	}
	never := func() ([]byte, error) { t.Error("asked for a passphrase"); return nil, nil }
	for name, opts := range map[string][]RepositoryOption{
		"both":     {WithPassphrase([]byte("p")), WithPlaintext()},
		"function": {WithPassphraseFunc(never)},
		"neither":  nil,
	} {
		repo, err := OpenRepository(t.Context(), store, opts...)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		repo.Close()
	}
}

func TestRepositoryOptionsThatAreRefused(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	tests := map[string][]RepositoryOption{
		"neither passphrase nor plaintext": nil,
		"both":                             {WithPassphrase([]byte("p")), WithPlaintext()},
		"empty passphrase":                 {WithPassphrase(nil)},
		"compression":                      {WithPlaintext(), WithCompression("LZMA")},
		"cache":                            {WithPlaintext(), WithCacheDir("")},
		"missing folder":                   {WithPlaintext(), WithTempDir(file + "x")},
		"file for a folder":                {WithPlaintext(), WithTempDir(file)},
		"no concurrency":                   {WithPlaintext(), WithEngineConcurrency(0)},
		"too much concurrency":             {WithPlaintext(), WithEngineConcurrency(1025)},
	}
	for name, opts := range tests {
		store := klosettest.NewMemStore()
		if _, err := CreateRepository(t.Context(), store, opts...); !errors.Is(err, ErrInvalidOption) {
			t.Errorf("%s: %v", name, err)
		}
		if names := store.Names(); len(names) > 0 {
			t.Errorf("%s: left %q", name, names)
		}
	}
}

func TestCompressionOfARepository(t *testing.T) {
	body := []byte(strings.Repeat("all work and no play ", 5000))
	for _, algorithm := range []string{"", "LZ4", "ZSTD", "GZIP", "none"} {
		t.Run(algorithm, func(t *testing.T) {
			defer func(of func() *storage.Configuration) { engineConfiguration = of }(engineConfiguration)
			engineConfiguration = storage.NewConfiguration
			store := klosettest.NewMemStore()
			var opts []RepositoryOption
			if algorithm != "" {
				opts = append(opts, WithCompression(algorithm))
			}
			repo := createPlain(t, store, opts...)
			if _, err := repo.Backup(t.Context(), klosettest.NewMemImporter([]klosettest.Entry{klosettest.File("/f", body)})); err != nil {
				t.Fatal(err)
			}
			plain := false
			for _, raw := range rawObjects(t, store) {
				plain = plain || bytes.Contains(raw, body[:2000])
			}
			if plain != (algorithm == "none") {
				t.Errorf("content is in the store as it is: %v", plain)
			}
			target := klosettest.NewMemExporter()
			if _, err := repo.Restore(t.Context(), "", target); err != nil {
				t.Fatal(err)
			}
			for _, entry := range target.Entries() {
				if entry.Path == "/f" && !bytes.Equal(entry.Body, body) {
					t.Error("another body came back")
				}
			}
		})
	}
}

// rawObjects reads all packfiles of a store.
func rawObjects(t *testing.T, store *klosettest.MemStore) [][]byte {
	t.Helper()
	ids, err := store.List(t.Context(), storage.StorageResourcePackfile)
	if err != nil {
		t.Fatal(err)
	}
	var all [][]byte
	for _, id := range ids {
		all = append(all, readBlob(t, store, storage.StorageResourcePackfile, id))
	}
	return all
}

func TestRepositoryAfterClose(t *testing.T) {
	quiet(t)
	w := newWorld(t)
	w.fill(3)
	cache := w.repo.cache
	if err := w.repo.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(cache); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the temporary folder is still there: %v", err)
	}
	ctx := t.Context()
	_, backup := w.repo.Backup(ctx, w.at("s3://data").Source())
	_, restore := w.repo.Restore(ctx, "", w.at("s3://data").Destination())
	_, snapshots := w.repo.Snapshots(ctx)
	for name, err := range map[string]error{
		"backup": backup, "restore": restore, "snapshots": snapshots,
		"check": w.repo.Check(ctx, ""), "delete": w.repo.Delete(ctx, "00"),
	} {
		if !errors.Is(err, ErrClosed) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := w.repo.Close(); err != nil {
		t.Errorf("second close: %v", err)
	}
	if got := w.data.Len(); got != 3 {
		t.Errorf("the bucket has %d objects", got)
	}
}

// TestCacheFolderIsKept: the next opening does not read the states again.
func TestCacheFolderIsKept(t *testing.T) {
	store, cache := klosettest.NewMemStore(), filepath.Join(t.TempDir(), "below", "cache")
	repo := createPlain(t, store, WithCacheDir(cache))
	source := klosettest.NewMemImporter([]klosettest.Entry{klosettest.File("/f", []byte("x"))})
	for range 3 {
		if _, err := repo.Backup(t.Context(), source); err != nil {
			t.Fatal(err)
		}
	}
	if err := repo.Close(); err != nil {
		t.Fatal(err)
	}
	again := store.Reopen()
	repo, err := OpenRepository(t.Context(), again, WithCacheDir(cache))
	if err != nil {
		t.Fatal(err)
	}
	defer repo.Close()
	if got := again.Calls(klosettest.OpGet); got != 0 {
		t.Errorf("opening read %d objects", got)
	}
	list, err := repo.Snapshots(t.Context())
	if err != nil || len(list) != 3 {
		t.Errorf("%d snapshots, error %v", len(list), err)
	}
	if states, err := filepath.Glob(filepath.Join(cache, "*", "store", "*", "*.state")); err != nil || len(states) > 0 {
		t.Errorf("states left in the cache: %v %v", states, err)
	}
}

// TestNothingSecretInTheSnapshot: the command line may hold a password.
func TestNothingSecretInTheSnapshot(t *testing.T) {
	w := newWorld(t)
	w.fill(1)
	w.backup()
	op, err := w.repo.begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer op.end()
	headers, err := op.headers()
	if err != nil || len(headers) != 1 {
		t.Fatal(headers, err)
	}
	if got := headers[0].GetContext("CommandLine"); got != "" {
		t.Errorf("command line in the snapshot: %q", got)
	}
	if got := headers[0].GetContext("Client"); got != "s3kloset" {
		t.Errorf("client %q", got)
	}
}

func TestImpossibleKeyDerivation(t *testing.T) {
	sound := encryption.NewConfiguration("ARGON2ID").KDFParams
	if err := checkDerivation(sound); err != nil {
		t.Fatalf("the engine's own parameters: %v", err)
	}
	for _, kdf := range []string{"SCRYPT", "PBKDF2"} {
		if err := checkDerivation(encryption.NewConfiguration(kdf).KDFParams); err != nil {
			t.Errorf("the engine's own %s: %v", kdf, err)
		}
	}
	argon := func(change func(*encryption.Argon2idParams)) encryption.KDFParams {
		p := *sound.Argon2idParams
		change(&p)
		return encryption.KDFParams{KDF: "ARGON2ID", Argon2idParams: &p}
	}
	for name, p := range map[string]encryption.KDFParams{
		"unknown":     {KDF: "ROT13"},
		"none":        {},
		"no params":   {KDF: "ARGON2ID"},
		"no threads":  argon(func(p *encryption.Argon2idParams) { p.Threads = 0 }),
		"no time":     argon(func(p *encryption.Argon2idParams) { p.Time = 0 }),
		"all memory":  argon(func(p *encryption.Argon2idParams) { p.Memory = 1 << 31 }),
		"short key":   argon(func(p *encryption.Argon2idParams) { p.KeyLen = 16 }),
		"scrypt":      {KDF: "SCRYPT", ScryptParams: &encryption.ScryptParams{N: 1 << 30, R: 8, P: 1, KeyLen: 32}},
		"pbkdf2 hash": {KDF: "PBKDF2", Pbkdf2Params: &encryption.PBKDF2Params{Iterations: 1, KeyLen: 32, Hashing: "MD1"}},
	} {
		if err := checkDerivation(p); !errors.Is(err, ErrDamaged) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if hashing.GetHasher("MD1") != nil {
		t.Error("the engine knows MD1")
	}
}

// TestEngineLogger: what the facade heals is told, and only there.
func TestEngineLogger(t *testing.T) {
	var out lockedBuffer
	w := newWorld(t, WithEngineLogger(slog.New(slog.NewTextHandler(&out, nil))))
	w.fill(1)
	w.backup()
	if text := out.String(); text != "" {
		t.Errorf("a backup without incident says %s", text)
	}
	if w.repo.logger.Handler().Enabled(context.Background(), slog.LevelDebug) {
		t.Error("the logger is not the one that was given")
	}
}
