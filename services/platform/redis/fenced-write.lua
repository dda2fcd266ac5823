-- Writes the state of one lane, unless somebody else owns the lane by now, or the state is not the one we left.
-- KEYS: 1 epoch, 2 progress, 3.. values
-- ARGV: 1 our epoch, 2 time to live in seconds, 3 progress as we left it, empty for none, 4 progress,
--       5.. values in the order of their keys
-- Reply: 1 written; 0 fenced, a later epoch exists; -1 Redis has lost data: no epoch, an earlier one, other progress
local epoch = redis.call('GET', KEYS[1])
if not epoch or tonumber(epoch) < tonumber(ARGV[1]) then
  return -1
end
if tonumber(epoch) > tonumber(ARGV[1]) then
  return 0
end
if (redis.call('GET', KEYS[2]) or '') ~= ARGV[3] then
  return -1
end
for index = 3, #KEYS do
  redis.call('SET', KEYS[index], ARGV[index + 2], 'EX', ARGV[2])
end
redis.call('SET', KEYS[2], ARGV[4])
return 1
