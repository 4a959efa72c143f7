# The package of plakar: plugin/ is a module of its own, so that programs that
# embed s3kloset do not link gRPC. Included by the Makefile of the repository.

PLUGIN         := plugin
PLAKAR         := $(BIN)/plakar
PLUGIN_VERSION ?= v0.1.0
PLUGIN_ARCHIVE := $(BIN)/s3_$(PLUGIN_VERSION)_$(shell $(GO) env GOOS)_$(shell $(GO) env GOARCH).ptar
PLUGIN_STAGE   := $(BIN)/plugin

.PHONY: plakar-package plugin-binary plugin-schema plugin-staticcheck plugin-test

# plakar writes an archive even when it could not pack all files, and says so
# by its exit status: such an archive must not stay.
plakar-package: plugin-binary $(PLAKAR) ## pack the plugin: .bin/s3_VERSION_OS_ARCH.ptar, for plakar pkg add
	@rm -f $(PLUGIN_ARCHIVE); home=$$(mktemp -d); trap 'rm -rf "$$home"' EXIT; \
	export HOME="$$home" XDG_CONFIG_HOME= XDG_CACHE_HOME= XDG_DATA_HOME=; \
	$(PLAKAR) -disable-security-check >/dev/null 2>&1; \
	cd $(PLUGIN_STAGE) && $(PLAKAR) pkg create -out $(PLUGIN_ARCHIVE) ./manifest.yaml $(PLUGIN_VERSION) && chmod 644 $(PLUGIN_ARCHIVE) || \
		{ rm -f $(PLUGIN_ARCHIVE); exit 1; }

# Not linked to C, so that one archive serves every distribution.
plugin-binary:
	@mkdir -p $(PLUGIN_STAGE)/schema
	CGO_ENABLED=0 $(GO) -C $(PLUGIN) build -trimpath -ldflags '-s -w' -o $(PLUGIN_STAGE)/s3kloset-plugin .
	@install -m 644 $(PLUGIN)/manifest.yaml $(PLUGIN_STAGE)/manifest.yaml
	@install -m 644 $(PLUGIN)/schema/*.json $(PLUGIN_STAGE)/schema/

plugin-schema: ## write plugin/schema from the table of settings
	$(GO) -C $(PLUGIN) test ./internal/schema -run TestSchemasAreCurrent -update

plugin-staticcheck: $(BIN)/staticcheck ## staticcheck of the plugin
	cd $(PLUGIN) && $(BIN)/staticcheck ./...

plugin-test: $(GOTESTSUM) ## unit tests of the plugin under the race detector
	$(LEAN) $(GOTEST) $(PLUGIN) ./... $(RACE)
