-- Raises the epoch of a partition, so that its previous owner can no longer write.
-- KEYS: 1 epoch
-- ARGV: 1 the epoch that this claim ends; a missing or earlier one is ended, too, since Redis may have lost it
--       2 the new epoch, above that one and every other that this owner has held
--       3 1 if the same claim was sent before and not answered: it may have been applied already
-- Reply: 1 the new epoch is set; 0 the current epoch is later than the one to end
local epoch = redis.call('GET', KEYS[1])
if epoch and ARGV[3] == '1' and tonumber(epoch) == tonumber(ARGV[2]) then
  return 1
end
if epoch and tonumber(epoch) > tonumber(ARGV[1]) then
  return 0
end
redis.call('SET', KEYS[1], ARGV[2])
return 1
