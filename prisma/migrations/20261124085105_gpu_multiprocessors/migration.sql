-- AlterTable
ALTER TABLE "Gpu" ADD COLUMN     "multiprocessors" INTEGER;

ALTER TABLE "Gpu"
  ADD CONSTRAINT "Gpu_multiprocessors_check" CHECK ("multiprocessors" > 0);
