-- The budget store's one script. KEYS[1] is the prefix; ARGV is the operation, the seconds that healed holds are
-- kept, and what the operation needs. Accounts and holds are hashes; `leases` orders open holds by the end of their
-- lease, `accounts` has the names of all accounts. A wish that arrives twice is granted once. Numbers stay below 2^53, so doubles hold them exactly.
local prefix, operation, kept = KEYS[1], ARGV[1], tonumber(ARGV[2])
local clock = redis.call('TIME')
local now = tonumber(clock[1]) + tonumber(clock[2]) / 1000000
local leases, names = prefix .. ':leases', prefix .. ':accounts'

local function account_of(name) return prefix .. ':account:' .. name end
local function hold_of(name) return prefix .. ':hold:' .. name end
local function whole(number) return string.format('%.0f', number + 0) end
local function number(key, field) return tonumber(redis.call('HGET', key, field) or '0') end
local function add(key, field, amount) redis.call('HINCRBY', key, field, whole(amount)) end

local function move(hold, i, amount)
  local account = account_of(redis.call('HGET', hold, 'account:' .. i))
  add(account, 'settled', amount - number(hold, 'counted:' .. i))
  add(account, 'held', -number(hold, 'held:' .. i))
end

local function heal(most)
  local late = redis.call('ZRANGEBYSCORE', leases, '-inf', now, 'LIMIT', 0, most)
  for _, name in ipairs(late) do
    local hold = hold_of(name)
    for i = 1, number(hold, 'lines') do
      local floor = number(hold, 'floor:' .. i)
      move(hold, i, floor)
      redis.call('HSET', hold, 'counted:' .. i, whole(floor), 'held:' .. i, '0')
    end
    redis.call('ZREM', leases, name)
    redis.call('EXPIRE', hold, kept)
  end
  return #late
end

local function reserve()
  local lease, lines = tonumber(ARGV[3]), tonumber(ARGV[4])
  local first = 5 + 5 * lines
  local most, short = #ARGV - first + 1, ''
  local again = 0
  while again < most and redis.call('EXISTS', hold_of(ARGV[first + again])) == 1 do again = again + 1 end
  if again > 0 then return {again, ''} end
  local free = {}
  for i = 0, lines - 1 do
    local name, limit, each = ARGV[5 + 5 * i], tonumber(ARGV[6 + 5 * i]), tonumber(ARGV[7 + 5 * i])
    local account = account_of(name)
    local left = limit - number(account, 'settled') - number(account, 'held')
    table.insert(free, whole(math.max(left, 0)))
    if each > 0 then
      local room = math.max(math.floor(left / each), 0)
      if room < most then most, short = room, name end
    end
  end
  for h = first, first + most - 1 do
    local hold = hold_of(ARGV[h])
    redis.call('HSET', hold, 'lines', whole(lines))
    redis.call('ZADD', leases, string.format('%.6f', now + lease), ARGV[h])
    for i = 1, lines do
      local at = 5 * i
      redis.call('HSET', hold, 'account:' .. i, ARGV[at], 'held:' .. i, ARGV[at + 2], 'floor:' .. i, ARGV[at + 3])
    end
  end
  for i = 1, most > 0 and lines or 0 do
    local account = account_of(ARGV[5 * i])
    add(account, 'held', most * tonumber(ARGV[5 * i + 2]))
    redis.call('SADD', names, ARGV[5 * i])
    redis.call('EXPIRE', account, ARGV[5 * i + 4])
  end
  return {most, short, unpack(free)}
end

local function settle()
  local at = 3
  while at < #ARGV do
    local name, count = ARGV[at], tonumber(ARGV[at + 1])
    local hold = hold_of(name)
    for i = 1, number(hold, 'lines') do
      move(hold, i, count < 0 and number(hold, 'floor:' .. i) or tonumber(ARGV[at + 1 + i]))
    end
    redis.call('DEL', hold)
    redis.call('ZREM', leases, name)
    at = at + 2 + math.max(count, 0)
  end
end

local function balances()
  local found = {}
  for i = 3, #ARGV do
    local account = account_of(ARGV[i])
    table.insert(found, whole(number(account, 'settled')))
    table.insert(found, whole(number(account, 'held')))
  end
  return found
end

local function accounts()
  local found = {}
  for _, name in ipairs(redis.call('SMEMBERS', names)) do
    if redis.call('EXISTS', account_of(name)) == 1 then
      table.insert(found, name)
    else
      redis.call('SREM', names, name)
    end
  end
  return found
end

if operation == 'reserve' then
  heal(100)
  return reserve()
elseif operation == 'settle' then
  settle()
elseif operation == 'balances' then
  return balances()
elseif operation == 'accounts' then
  return accounts()
elseif operation == 'heal' then
  return heal(100000)
end
return 0
