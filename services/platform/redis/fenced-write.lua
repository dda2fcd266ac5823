-- Writes the state of one lane, unless somebody else owns the lane by now, or the state is not the one we left.
-- KEYS: 1 epoch, 2 progress, 3.. values: those written whole, then those appended to
-- ARGV: 1 our epoch, 2 time to live in seconds, 3 progress as we left it, empty for none, 4 progress,
--       5 how many values are written whole, 6 the values in the order of their keys, as value-pack.ts packs them
-- Reply: 1 written; 0 fenced, a later epoch exists; -1 Redis has lost data: no epoch, an earlier one, other progress,
--        a value that is not as long as we left it
local call, unpack = redis.call, struct.unpack
local epoch = call('GET', KEYS[1])
if not epoch or tonumber(epoch) < tonumber(ARGV[1]) then
  return -1
end
if tonumber(epoch) > tonumber(ARGV[1]) then
  return 0
end
if (call('GET', KEYS[2]) or '') ~= ARGV[3] then
  return -1
end
local ttl, values, at = ARGV[2], ARGV[6], 1
local whole = 2 + tonumber(ARGV[5])
local length, value
for index = 3, whole do
  value, at = unpack('<I4c0', values, at)
  call('SET', KEYS[index], value, 'EX', ttl)
end
for index = whole + 1, #KEYS do
  length, value, at = unpack('<I4I4c0', values, at)
  if call('APPEND', KEYS[index], value) ~= length then
    return -1
  end
end
call('SET', KEYS[2], ARGV[4])
return 1
