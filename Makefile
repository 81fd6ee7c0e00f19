# Names only: each is a command of deploy/run. More arguments: make test ARGS="tests/deploy -q"

COMMANDS = help demo demo-check up test check bench chaos manage

.DEFAULT_GOAL = help
.PHONY: $(COMMANDS)

$(COMMANDS):
	@sh deploy/run $@ $(ARGS)
