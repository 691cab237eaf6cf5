# Slipstream: everything lands in build/.
CC      ?= gcc
BUILD   ?= build
CFLAGS  ?= -O2 -g
WARN    := -Wall -Wextra -Werror
ALL_CFLAGS := -std=c11 -D_GNU_SOURCE -I. $(WARN) -fno-omit-frame-pointer $(CFLAGS)
LIBS    := -luring -llz4 -llzf -ljemalloc -lmd -lpthread -lm

SRC  := $(shell find server rdb shm repl -name '*.c' | sort)
OBJ  := $(SRC:%.c=$(BUILD)/obj/%.o)
LIBOBJ := $(filter-out $(BUILD)/obj/server/main.o,$(OBJ))
UNIT := $(patsubst tests/unit/%.c,$(BUILD)/tests/unit/%,$(wildcard tests/unit/*.c))

all: $(BUILD)/redis-server

$(BUILD)/redis-server: $(OBJ)
	$(CC) $(ALL_CFLAGS) -o $@ $^ $(LIBS)

$(BUILD)/obj/%.o: %.c
	@mkdir -p $(@D)
	$(CC) $(ALL_CFLAGS) -MMD -MP -c $< -o $@

$(BUILD)/tests/unit/%: tests/unit/%.c $(LIBOBJ)
	@mkdir -p $(@D)
	$(CC) $(ALL_CFLAGS) -o $@ $^ -lcriterion $(LIBS)

-include $(OBJ:.o=.d)
.PHONY: all
