"""A job's changes of state, each one Lua script: the server runs it whole, by its own clock.

All scripts read the same keys: the job's hash, then the sorted sets of queued, running and finished jobs.  The first
argument is the job's id.  Running one twice with the same arguments changes nothing more, so a client may retry.
"""

from typing import Final

_OPENING: Final = """
local job, queued, running, finished = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local id = ARGV[1]
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
local status = redis.call('HGET', job, 'status')

local function finish(last, retention, ...)
    redis.call('HSET', job, 'status', last, 'finished', now, ...)
    redis.call('HDEL', job, 'detail')
    redis.call('ZREM', queued, id)
    redis.call('ZREM', running, id)
    redis.call('ZADD', finished, now + retention, id)
    redis.call('PEXPIRE', job, retention)
end

local function lapsed()
    return tonumber(redis.call('HGET', job, 'lease') or '0') <= now
end

local function cancelled()
    return redis.call('HGET', job, 'cancel') == '1'
end
"""

CLAIM: Final = (
    _OPENING
    + """
local token, lease, most, retention, problem = ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5]), ARGV[6]
if status ~= 'queued' and status ~= 'running' then return 'done' end
if status == 'running' and redis.call('HGET', job, 'token') == token then return 'run' end
if status == 'running' and not lapsed() then return 'busy' end
if cancelled() then
    finish('cancelled', retention, 'token', '')
    return 'done'
end
if tonumber(redis.call('HGET', job, 'attempts')) >= most then
    finish('failed', retention, 'token', '', 'problem', problem)
    return 'quarantined'
end
redis.call('HINCRBY', job, 'attempts', 1)
redis.call('HSET', job, 'status', 'running', 'token', token, 'lease', now + lease)
redis.call('HSETNX', job, 'started', now)
redis.call('ZREM', queued, id)
redis.call('ZADD', running, now + lease, id)
return 'run'
"""
)
"""Take a job → run, busy, done, quarantined.

Arguments: `token, lease ms, most attempts, retention ms, the problem of a quarantined job`.
"""

BEAT: Final = (
    _OPENING
    + """
local token, lease, stage, progress, detail = ARGV[2], tonumber(ARGV[3]), ARGV[4], ARGV[5], ARGV[6]
if status ~= 'running' or redis.call('HGET', job, 'token') ~= token then return 'lost' end
redis.call('HSET', job, 'lease', now + lease, 'stage', stage, 'progress', progress, 'detail', detail)
redis.call('ZADD', running, now + lease, id)
if cancelled() then return 'cancelled' end
return 'ok'
"""
)
"""Extend the lease of whoever holds it: `token, lease ms, stage, progress, detail` → ok, cancelled, lost."""

COMMIT: Final = (
    _OPENING
    + """
local token, last, retention, verdict, problem = ARGV[2], ARGV[3], tonumber(ARGV[4]), ARGV[5], ARGV[6]
if redis.call('HGET', job, 'token') ~= token then return 0 end
if status ~= 'running' then return 1 end
if cancelled() then
    finish('cancelled', retention)
elseif last == 'succeeded' then
    finish(last, retention, 'verdict', verdict, 'stage', 'done', 'progress', 1)
elseif problem ~= '' then
    finish(last, retention, 'problem', problem)
else
    finish(last, retention)
end
return 1
"""
)
"""End a job, if `token` still holds it: `token, status, retention ms, verdict, problem` → 1, or 0 for a stranger."""

RELEASE: Final = (
    _OPENING
    + """
local token, forgive, retention = ARGV[2], ARGV[3], tonumber(ARGV[4])
if status ~= 'running' or redis.call('HGET', job, 'token') ~= token then return 0 end
if cancelled() then
    finish('cancelled', retention, 'token', '')
    return 1
end
if forgive == '1' then redis.call('HINCRBY', job, 'attempts', -1) end
redis.call('HSET', job, 'status', 'queued', 'stage', 'queued', 'progress', 0, 'detail', '', 'token', '', 'lease', 0)
redis.call('ZREM', running, id)
redis.call('ZADD', queued, 0, id)
return 1
"""
)
"""Give a job back: `token, 1 where this start does not count, retention ms` → 1, or 0 for a stranger."""

CANCEL: Final = (
    _OPENING
    + """
local retention = tonumber(ARGV[2])
if status == 'queued' or (status == 'running' and lapsed()) then
    finish('cancelled', retention, 'token', '')
elseif status == 'running' then
    redis.call('HSET', job, 'cancel', '1')
end
return status
"""
)
"""Cancel at once what nobody runs, mark what somebody does: `retention ms` → the status before."""

SWEEP: Final = """
local queued, running = KEYS[1], KEYS[2]
local patience, waiting, most = tonumber(ARGV[1]), tonumber(ARGV[2]), ARGV[3]
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
local due = redis.call('ZRANGEBYSCORE', running, '-inf', now, 'LIMIT', 0, most)
for _, id in ipairs(due) do redis.call('ZADD', running, now + patience, id) end
for _, id in ipairs(redis.call('ZRANGEBYSCORE', queued, '-inf', now - waiting, 'LIMIT', 0, most)) do
    redis.call('ZADD', queued, now, id)
    table.insert(due, id)
end
return due
"""
"""List jobs that need another message, and note that they get one now: `patience ms, ms since the last, at most`.

Keys: the sorted sets of queued and running jobs.
"""
