# The end-to-end tests, on real servers and with the real plakar: internal/e2e is a module of
# its own, so that programs that embed s3kloset do not depend on servers. Included by the
# Makefile of the repository.

E2E := internal/e2e

# One road each. What the gate runs is the same test that test-all runs on all servers.
REAL_TESTS := ^(TestConformance|TestVirtualHostKeys|Test[A-Z][A-Za-z]*Suite|TestRoad)$$
REAL_STEPS := servers real-minio real-versitygw real-plakar

# What tests do, by the names of their functions. e2e-rest is what no other part names, so
# that a new test is always in one.
E2E_KILLS := TestKilled|TestTenProcesses|TestPlakarKilled|TestPlakarInterrupted
E2E_LOCKS := TestObjectLock|TestRestoredLocks|TestStoreWithVersions|TestLockIsInTheStore
E2E_TLS := TestRoadOverTLS|TestUnknownAuthority|TestPlakarTLS
E2E_AWS := TestAWSCommandLine
E2E_MEMORY := TestLarge
E2E_PLAKAR := TestPlakar[A-Z].*
E2E_ROADS := TestConformance|TestVirtualHostKeys|Test[A-Z][A-Za-z]*Suite|TestRoad

E2E_STEPS := e2e-staticcheck e2e-roads e2e-kills e2e-locks e2e-tls e2e-aws e2e-memory e2e-plakar e2e-rest

# Without -race, whose shadow memory of hundreds of restored buckets takes 16 GB: the unit
# tests run under it.
E2ETEST := $(GOTEST) $(E2E) .

.PHONY: $(REAL_STEPS) $(E2E_STEPS) bench

servers: $(BIN)/versitygw $(BIN)/minio $(PLAKAR) ## build the servers, and plakar, for the end-to-end tests (once)

real-minio: servers $(GOTESTSUM) ## conformance, backup and restore on MinIO
	$(E2ETEST) -parallel 1 -run '$(REAL_TESTS)/^minio$$'

real-versitygw: servers $(GOTESTSUM) ## conformance, backup and restore on versitygw
	$(E2ETEST) -parallel 1 -run '$(REAL_TESTS)/^versitygw$$'

real-plakar: servers plakar-package $(GOTESTSUM) ## a new user's commands through the real plakar
	$(E2ETEST) -parallel 1 -run '^TestPlakarSeed$$/^minio$$'

e2e-staticcheck: $(BIN)/staticcheck ## staticcheck of the end-to-end tests
	cd $(E2E) && $(BIN)/staticcheck ./...

e2e-roads: servers $(GOTESTSUM) ## conformance, backup and restore on all servers, minis3 and s3test too
	$(E2ETEST) -run '^($(E2E_ROADS))$$'

e2e-kills: servers plakar-package $(GOTESTSUM) ## SIGKILL of ours and of plakar, ten processes at once
	$(E2ETEST) -run '^($(E2E_KILLS))$$'

e2e-locks: servers plakar-package $(GOTESTSUM) ## Object Lock, versions, and where locks are
	$(E2ETEST) -run '^($(E2E_LOCKS))$$'

e2e-tls: servers plakar-package $(GOTESTSUM) ## TLS with an authority of our own
	$(E2ETEST) -run '^($(E2E_TLS))$$'

e2e-aws: servers $(GOTESTSUM) ## objects that the aws command line wrote; it must be installed
	$(E2ETEST) -run '^($(E2E_AWS))$$'

e2e-memory: servers $(GOTESTSUM) ## large objects, in ranges and in parts, and runs that are cut off in them
	$(E2ETEST) -run '^($(E2E_MEMORY))$$'

# More tests beside each other than there are cores: plakar waits as long as it computes.
e2e-plakar: servers plakar-package $(GOTESTSUM) ## faults, options and mistakes through the real plakar
	$(E2ETEST) -parallel 3 -run '^($(E2E_PLAKAR))$$' -skip '^($(E2E_KILLS)|$(E2E_TLS))$$'

e2e-rest: servers plakar-package $(GOTESTSUM) ## all other end-to-end tests
	$(E2ETEST) -skip '^($(E2E_ROADS)|$(E2E_KILLS)|$(E2E_LOCKS)|$(E2E_TLS)|$(E2E_AWS)|$(E2E_MEMORY)|$(E2E_PLAKAR))$$'

# Everything in one process and one run: the ratios mean something, the seconds do not.
bench: servers ## measure against the raw network and against the engine alone
	$(GO) -C $(E2E) test -run '^$$' -bench '$(BENCH)' -benchtime 1x -timeout 120m ./bench

# The pins decide what the binaries are: nothing else makes them stale.
$(BIN)/minio: $(E2E)/servers/minio/go.mod $(E2E)/servers/minio/go.sum
	$(GO) -C $(E2E)/servers/minio build -o $@ github.com/minio/minio

$(BIN)/versitygw: $(E2E)/servers/versitygw/go.mod $(E2E)/servers/versitygw/go.sum
	$(GO) -C $(E2E)/servers/versitygw build -o $@ github.com/versity/versitygw/cmd/versitygw

$(PLAKAR): $(E2E)/servers/plakar/go.mod $(E2E)/servers/plakar/go.sum $(E2E)/servers/plakar/ttlmap/map.go
	$(GO) -C $(E2E)/servers/plakar build -o $@ github.com/PlakarKorp/plakar
