-- AlterTable
ALTER TABLE "System" ADD COLUMN     "maxNodes" INTEGER;

ALTER TABLE "System"
  ADD CONSTRAINT "System_maxNodes_check" CHECK ("maxNodes" > 0);
