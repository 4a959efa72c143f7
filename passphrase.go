package s3kloset

import (
	"fmt"
	"hash"

	"github.com/PlakarKorp/kloset/connectors/storage"
	"github.com/PlakarKorp/kloset/encryption"
	"github.com/PlakarKorp/kloset/hashing"
)

// secrecy says how a repository is protected, or may be.
type secrecy struct {
	passphrase func() ([]byte, error) // nil: there is none
	required   bool                   // a repository without encryption is refused
	plaintext  bool
}

// seal encrypts a new repository, or leaves it plaintext. It returns the key
// and the hasher for the configuration.
func (s secrecy) seal(cfg *storage.Configuration) (key []byte, hasher hash.Hash, err error) {
	if s.passphrase == nil {
		cfg.Encryption = nil
		return nil, hashing.GetHasher(storage.DEFAULT_HASHING_ALGORITHM), nil
	}
	if key, err = s.derive(cfg.Encryption); err != nil {
		return nil, nil, err
	}
	if cfg.Encryption.Canary, err = encryption.DeriveCanary(cfg.Encryption, key); err != nil {
		return nil, nil, fmt.Errorf("encrypt the canary: %w", err)
	}
	return key, hashing.GetMACHasher(storage.DEFAULT_HASHING_ALGORITHM, key), nil
}

// unseal returns the key of an existing repository, nil when it has none.
func (s secrecy) unseal(cfg *storage.Configuration) ([]byte, error) {
	if cfg.Encryption == nil {
		if s.required && !s.plaintext {
			// Whoever can write to the store could otherwise swap its
			// configuration and have the next backup written in the clear.
			return nil, fmt.Errorf("%w: the repository is not encrypted, and a passphrase was given", ErrPassphrase)
		}
		return nil, nil
	}
	if s.passphrase == nil {
		return nil, fmt.Errorf("%w: the repository is encrypted", ErrPassphrase)
	}
	key, err := s.derive(cfg.Encryption)
	if err != nil {
		return nil, err
	}
	if !encryption.VerifyCanary(cfg.Encryption, key) {
		return nil, ErrPassphrase
	}
	return key, nil
}

func (s secrecy) derive(cfg *encryption.Configuration) ([]byte, error) {
	if err := checkDerivation(cfg.KDFParams); err != nil {
		return nil, err
	}
	passphrase, err := s.passphrase()
	if err != nil {
		return nil, fmt.Errorf("ask for the passphrase: %w", err)
	}
	if len(passphrase) == 0 {
		return nil, fmt.Errorf("%w: it is empty", ErrPassphrase)
	}
	key, err := encryption.DeriveKey(cfg.KDFParams, passphrase)
	if err != nil {
		return nil, fmt.Errorf("derive the key: %w", err)
	}
	return key, nil
}

const (
	keyBytes = 32 // of the engine's ciphers and keyed hashes
	// maxDerivation bounds the memory that an Argon2id or scrypt derivation
	// may ask for, in bytes. The engine's own settings need 256 MiB.
	maxDerivation = 4 << 30
	// maxRounds bounds the time of a derivation.
	maxRounds = 1 << 26
)

// checkDerivation refuses parameters that make the derivation panic or never
// end. Nothing vouches for them before there is a key to verify them with.
func checkDerivation(p encryption.KDFParams) error {
	sound := false
	switch p.KDF {
	case "ARGON2ID":
		a := p.Argon2idParams
		sound = a != nil && a.KeyLen == keyBytes && a.Threads > 0 &&
			1 <= a.Time && a.Time <= 1024 && uint64(a.Memory)<<10 <= maxDerivation
	case "SCRYPT":
		s := p.ScryptParams
		sound = s != nil && s.KeyLen == keyBytes && s.N > 0 && s.N <= 1<<24 &&
			s.R > 0 && s.R <= 64 && s.P > 0 && s.P <= 64 && 128*s.N*s.R <= maxDerivation
	case "PBKDF2":
		b := p.Pbkdf2Params
		sound = b != nil && b.KeyLen == keyBytes && 1 <= b.Iterations && b.Iterations <= maxRounds &&
			hashing.GetHasher(b.Hashing) != nil
	}
	if !sound {
		return fmt.Errorf("%w: key derivation %q with impossible parameters", ErrDamaged, p.KDF)
	}
	return nil
}
