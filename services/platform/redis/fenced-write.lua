-- Writes the state of one partition, unless somebody else owns the partition by now, or the state is not the one we left.
-- KEYS: 1 epoch, 2 progress, 3.. values: those written whole, or taken away, then those appended to
-- ARGV: 1 our epoch, 2 time to live in seconds, 3 progress as we left it, empty for none, 4 progress,
--       5 how many values are written whole or taken away, 6 all bytes in the order of the keys, 7 lengths, 32 bits each:
--       of each whole value, 0 for one that is taken away; then for each addition that of the value after it, and its own
-- Reply: 1 written; 0 fenced, a later epoch exists; -1 Redis has lost data: no epoch, an earlier one, other progress,
--        a value that is not as long as we left it. Values before that one are written then, and the progress is not: the
--        state is ahead of it, as after a crash, and is built again
local call, sub, unpack = redis.call, string.sub, struct.unpack
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
local ttl, bytes, lengths = ARGV[2], ARGV[6], ARGV[7]
local whole = 2 + tonumber(ARGV[5])
local at, next_length = 1, 1
local length, after
for index = 3, whole do
  length, next_length = unpack('<I4', lengths, next_length)
  if length == 0 then
    -- At once; a user who may not delete may do this.
    call('EXPIRE', KEYS[index], 0)
  else
    call('SET', KEYS[index], sub(bytes, at, at + length - 1), 'EX', ttl)
  end
  at = at + length
end
for index = whole + 1, #KEYS do
  after, length, next_length = unpack('<I4I4', lengths, next_length)
  if call('APPEND', KEYS[index], sub(bytes, at, at + length - 1)) ~= after then
    -- One that was gone would stay for good.
    call('EXPIRE', KEYS[index], ttl)
    return -1
  end
  at = at + length
end
call('SET', KEYS[2], ARGV[4])
return 1
